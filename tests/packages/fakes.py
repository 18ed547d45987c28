"""Python packages that hold data, made for tests as pip leaves installed ones."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from valueflow.packages import PackagedFile


def write_distribution(site: Path, name: str, version: str, files: Mapping[str, bytes]) -> None:
    """Install a distribution into a folder: its files, its METADATA and its RECORD with sizes and hashes."""
    records = []
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)
        digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        records.append(f"{path},sha256={digest},{len(content)}")
    about = site / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "RECORD").write_text("\n".join([*records, f"{about.name}/RECORD,,", ""]))


def part_path(site: Path, number: int) -> Path:
    return site / f"fake_part{number}" / "data" / f"part{number:02}.bin"


def write_parts(
    site: Path, parts: Sequence[bytes], *, version: str = "1.0", what: str = "model 'fake'"
) -> PackagedFile:
    """Install a file in parts, one a distribution, and return what describes it."""
    for number, part in enumerate(parts, start=1):
        path = part_path(site, number).relative_to(site).as_posix()
        write_distribution(
            site, f"fake-part{number}", version, {f"fake_part{number}/__init__.py": b"1 / 0", path: part}
        )
    return PackagedFile(
        what=what,
        distributions=tuple(f"fake-part{number}" for number in range(1, len(parts) + 1)),
        requirement=f"fake-part{{1..{len(parts)}}}=={version}",
        version=version,
        path="data/part*.bin",
        size=sum(map(len, parts)),
        sha256=hashlib.sha256(b"".join(parts)).hexdigest(),
    )


def in_parts(content: bytes, number: int) -> list[bytes]:
    size = -(-len(content) // number)
    return [content[start : start + size] for start in range(0, number * size, size)]
