"""The peak of resident memory that a piece of work adds, in a process of its own (Linux only)."""

from __future__ import annotations

import subprocess
import sys

AVAILABLE = sys.platform == "linux"

_SCRIPT = """
import re, torch
torch.set_num_threads(1)
def read(key):
    with open('/proc/self/status') as file:
        return int(re.search(key + r':\\s+(\\d+)', file.read())[1])
{setup}
open('/proc/self/clear_refs', 'w').write('5')  # forget the peak of the set-up
before = read('VmRSS')
for _ in range(2):
    {work}
print(read('VmHWM') - before)
"""


def peak(setup: str, work: str) -> float:
    """Kilobytes that `work`, one line of Python, adds to what stands after the lines of `setup`."""
    script = _SCRIPT.format(setup=setup, work=work)
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(out.stdout.split()[-1])
