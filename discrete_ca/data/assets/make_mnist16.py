"""Make `mnist16.xz`, the embedded MNIST at 16 grey levels, from the four original IDX files.

    python make_mnist16.py FOLDER

reads `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz` and their `t10k-` twins in FOLDER
and writes the asset beside this script. The payload is 70,000 images (training first) of two pixels
a byte, the left one in the high four bits, each image stored column by column (14 columns of 28
bytes, which compresses better than rows); then 70,000 label bytes. A grey level is pixel // 16, so
that level >= 8 is exactly pixel >= 128. The SHA-256 that it prints is the one in
`discrete_ca/data/embedded.py`.
"""

from __future__ import annotations

import hashlib
import lzma
import sys
from pathlib import Path

import numpy as np

from discrete_ca.data.idx import read_idx

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def payload(folder: Path) -> bytes:
    """The uncompressed asset: packed images, then labels."""
    parts = ("train", "t10k")
    images = np.concatenate([read_idx(folder / f"{part}-images-idx3-ubyte.gz") for part in parts])
    labels = np.concatenate([read_idx(folder / f"{part}-labels-idx1-ubyte.gz") for part in parts])
    level = images // 16
    packed = level[..., ::2] << 4 | level[..., 1::2]
    return bytes(packed.swapaxes(1, 2).tobytes() + labels.tobytes())


def main(folder: Path) -> None:
    """Write the asset and print its checksum."""
    content = payload(folder)
    target = Path(__file__).with_name("mnist16.xz")
    target.write_bytes(lzma.compress(content, check=lzma.CHECK_CRC64, filters=FILTERS))
    print(
        f"{target}: {target.stat().st_size:,} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
