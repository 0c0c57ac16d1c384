"""Real KEK providers for tests: an AWS KMS (moto, as a server process), an HSM (SoftHSM 2), and ring files.

Each offers two KEKs and an outage. SoftHSM 2 is a package of the operating system (softhsm2): without it the HSM's
tests are skipped, but fail where CI is set.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from demo.processes import free_port, running
from keys.wrapping import provider_of
from keys.wrapping.base import KekProvider
from keys.wrapping.cooldown import Cooldown
from keys.wrapping.local import create_ring
from keys.wrapping.ring import KekRing

REGION = "eu-central-1"
PIN = "canary-pin-6617"
SOFTHSM = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")]
MAKE_KEYS = """
import sys, pkcs11
from pkcs11 import Attribute, KeyType, MechanismFlag
library, pin, *labels = sys.argv[1:]
with pkcs11.lib(library).get_token(token_label="codec").open(rw=True, user_pin=pin) as session:
    for label in labels:
        session.generate_key(
            KeyType.AES, 128 if label == "short" else 256, label=label, id=label.encode(), store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: label == "extractable"},
        )
"""


@dataclass(frozen=True, slots=True)
class Keks:
    """Two KEKs of one provider by their URIs, and the environment in which a process can use them."""

    first: str
    second: str
    environment: dict[str, str]
    outage: Callable[[], AbstractContextManager[None]]

    def ring(self, *uris: str, clock: Callable[[], float] | None = None) -> KekRing:
        """Return a ring of its own, by default of both KEKs, with its own cooldowns."""
        return KekRing([cooled(uri, clock) for uri in uris or (self.first, self.second)])


def cooled(uri: str, clock: Callable[[], float] | None = None) -> KekProvider:
    return Cooldown(provider_of(uri), clock) if clock else Cooldown(provider_of(uri))


@dataclass(frozen=True, slots=True)
class Kms:
    """moto's AWS KMS, over HTTP. It differs from AWS: a disabled key still decrypts."""

    url: str
    process: subprocess.Popen[bytes]

    def new_key(self) -> str:
        """Return the ARN of a new key."""
        return str(self.client().create_key()["KeyMetadata"]["Arn"])

    def client(self):
        return boto3.session.Session(region_name=REGION).client("kms", endpoint_url=self.url)

    def uri(self, name: str) -> str:
        return f"awskms:{name}?region={REGION}&endpoint={self.url}"

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It takes connections and does not answer."""
        self.process.send_signal(signal.SIGSTOP)
        yield
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def kms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kms]:
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]]
    log = tmp_path_factory.mktemp("moto") / "log"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        with running(command, log=log, ready_url=f"{url}/moto-api/") as process:
            yield Kms(url, process)


@dataclass(frozen=True, slots=True)
class Hsm:
    """A SoftHSM 2 token `codec` with the AES keys `first` and `second`, and the unfit `extractable` and `short`."""

    library: Path
    directory: Path

    @property
    def pin_file(self) -> Path:
        return self.directory / "pin"

    def uri(self, label: str, token: str = "codec") -> str:
        return f"pkcs11:token={token};object={label}?module-path={self.library}&pin-file={self.pin_file}"

    @contextmanager
    def without_token(self) -> Iterator[None]:
        tokens = self.directory / "tokens"
        tokens.rename(self.directory / "away")
        tokens.mkdir()
        yield
        tokens.rmdir()
        (self.directory / "away").rename(tokens)


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hsm]:
    token = Hsm(softhsm(), tmp_path_factory.mktemp("softhsm"))
    (token.directory / "tokens").mkdir()
    (token.directory / "conf").write_text(f"directories.tokendir = {token.directory / 'tokens'}\nlog.level = ERROR\n")
    token.pin_file.write_text(f"{PIN}\n")
    token.pin_file.chmod(0o600)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(token.directory / "conf"))
        make_token = ["softhsm2-util", "--init-token", "--free", "--label", "codec", "--so-pin", PIN, "--pin", PIN]
        make_keys = [sys.executable, "-c", MAKE_KEYS, str(token.library), PIN]
        subprocess.run(make_token, check=True, capture_output=True)
        subprocess.run([*make_keys, "first", "second", "extractable", "short"], check=True, capture_output=True)
        yield token


def softhsm() -> Path:
    """Return SoftHSM's library. Without it, skip the test, or fail where CI is set."""
    for path in SOFTHSM:
        if path.exists():
            return path
    message = "SoftHSM 2 is not installed: apt-get install softhsm2"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def local_keks(tmp_path: Path) -> Keks:
    first, second = tmp_path / "first-kek", tmp_path / "second-kek"
    create_ring(first)
    create_ring(second)

    @contextmanager
    def without_file() -> Iterator[None]:
        first.rename(tmp_path / "away")
        yield
        (tmp_path / "away").rename(first)

    return Keks(f"local:{first}", f"local:{second}", {}, without_file)


@pytest.fixture(scope="session")
def kms_keks(kms: Kms) -> Keks:
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return Keks(kms.uri(kms.new_key()), kms.uri(kms.new_key()), environment, kms.silent)


@pytest.fixture(scope="session")
def hsm_keks(hsm: Hsm) -> Keks:
    environment = {"SOFTHSM2_CONF": os.environ["SOFTHSM2_CONF"]}
    return Keks(hsm.uri("first"), hsm.uri("second"), environment, hsm.without_token)


@pytest.fixture(params=["local", "kms", "hsm"])
def keks(request: pytest.FixtureRequest) -> Keks:
    """Every provider in turn."""
    found: Keks = request.getfixturevalue(f"{request.param}_keks")
    return found
