"""``python -m udcphantom --out DIR``: write the demonstration set and print its manifest."""

import argparse
import json
import sys
from pathlib import Path

from udcphantom.demo import REALISTIC, SMALL, write_demo

MANIFEST = "manifest.json"


def main(arguments: list[str] | None = None) -> int:
    """Write the set, save the manifest beside it and print it to standard output; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m udcphantom", description="Write synthetic DICOM studies.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into; made if missing")
    parser.add_argument("--small", action="store_true", help="small images, for quick tests")
    parser.add_argument("--seed", type=int, default=2024, help="decides UIDs and noise")
    options = parser.parse_args(arguments)
    manifest = write_demo(options.out, size=SMALL if options.small else REALISTIC, seed=options.seed)
    text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    (options.out / MANIFEST).write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
