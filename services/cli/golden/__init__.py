"""Golden cases as a vendor writes them: a folder of YAML, and pictures made from it."""

from cli.golden.cases import WrittenCase, read_cases

__all__ = ["WrittenCase", "read_cases"]
