"""Runs a command and prints the peak of its resident memory, in bytes.

A process begins with the peak of the one that it was forked from (Linux keeps it across ``exec``), so the command is
started by this small one: ``python -I -S peak.py COMMAND...``, below which no Python can stay.
"""

import os
import sys

null = os.open(os.devnull, os.O_RDWR)
streams = [(os.POSIX_SPAWN_DUP2, null, stream) for stream in range(3)]
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=streams)
_, status, usage = os.wait4(child, 0)
if status:
    sys.exit(f"{' '.join(sys.argv[1:])} ended with {os.waitstatus_to_exitcode(status)}")
print(usage.ru_maxrss * 1024)
