"""Programs that use SIMD: kernels in C, which compare their vectors with plain loops, and BLAKE3 as a compiler made it.

``benchmarks/kernels/README.md`` says what the kernels are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import vibewasm as vw
from tests.debian import clang_for_wasi
from tests.spec.suite import HOW_TO_GET, PROJECT_ROOT
from vibewasm import opcodes
from vibewasm.binary.instructions import decode_body  # placeholder

KERNELS = PROJECT_ROOT / "benchmarks" / "kernels"
