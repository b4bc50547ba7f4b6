r"""Make `moby_dick.xz`, the embedded text of Moby-Dick, from a plain text file.

    python make_moby_dick.py FILE

writes the asset beside this script: the bytes of FILE (UTF-8, line ends \n) as they are, in one xz
stream. The SHA-256 that it prints is the one in `discrete_ca/data/embedded.py`.
"""

from __future__ import annotations

import hashlib
import lzma
import sys
from pathlib import Path

# English text compresses better with more bits of the byte before and none of the place.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def main(source: Path) -> None:
    """Write the asset and print its checksum."""
    content = source.read_bytes()
    content.decode("utf-8")
    target = Path(__file__).with_name("moby_dick.xz")
    target.write_bytes(lzma.compress(content, check=lzma.CHECK_CRC64, filters=FILTERS))
    print(
        f"{target}: {target.stat().st_size:,} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
