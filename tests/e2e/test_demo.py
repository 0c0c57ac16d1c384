"""`make demo` keeps what it prints, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.codec_server import ROOT
from demo.processes import free_port, port_is_free
from demo.worker import PAYMENT
from tests.e2e.people import Person
from tests.e2e.web_ui import Screenshots, sign_in_through


@dataclass(frozen=True, slots=True)
class RunningDemo:
    process: "subprocess.Popen[str]"
    directory: Path
    workflow_url: str
    admin: Person


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningDemo]:
    environment = os.environ | {"CODEC_VAR": str(tmp_path), "PORT": str(free_port())}
    command = [sys.executable, "-m", "demo"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            invitation = read_invitation(process)
            url, password = re.search(r"Open  (\S+)", invitation), re.search(r"admin  with  (\S+)", invitation)
            assert url is not None
            assert password is not None
            yield RunningDemo(process, tmp_path / "demo", url[1], Person("admin", password[1]))
        finally:
            process.send_signal(signal.SIGINT)


def read_invitation(process: "subprocess.Popen[str]") -> str:
    """Return what the demo prints until it is ready, or until it gives up."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    return "".join(lines)


def ports_in_use(demo: RunningDemo) -> list[int]:
    """Return the ports at which parts of the demo listen: the codec server, the UI proxy, Temporal and its Web UI."""
    said = demo.workflow_url + "".join(log.read_text() for log in demo.directory.glob("*.log"))
    return [port for port in map(int, set(re.findall(r"localhost:(\d+)", said))) if not port_is_free(port)]


def test_ctrl_c_ends_everything(demo: RunningDemo) -> None:
    used = ports_in_use(demo)
    assert len(used) >= 4
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0
    assert [port for port in used if not port_is_free(port)] == []


def test_what_the_demo_prints_leads_to_a_readable_workflow(
    demo: RunningDemo, page: Page, screenshots: Screenshots
) -> None:
    page.goto(demo.workflow_url)
    tab = sign_in_through(page, demo.admin)
    expect(tab.get_by_test_id("input-and-result")).to_contain_text(PAYMENT.payer)
    screenshots.take(tab, "8-demo-after-sign-in")
