"""The real `temporal` command, reading and writing an encrypted workflow through this server."""

import subprocess
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

