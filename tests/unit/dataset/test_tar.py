import tarfile
from io import BytesIO

import pytest

from core.dataset import tar
from core.errors import CorruptError

FILES = {"a.png": b"", "b.json": b"{}", "c.png": bytes(512), "d.json": bytes(range(256)) * 3}
GOOD = b"".join(tar.member(name, data) for name, data in FILES.items()) + tar.end()


def test_members_come_back_as_they_were() -> None:
    assert dict(tar.members(BytesIO(GOOD), 1000)) == FILES


def test_tarfile_reads_plain_files_without_owner_or_time() -> None:
    with tarfile.open(fileobj=BytesIO(GOOD)) as opened:
        infos = opened.getmembers()
        assert [info.name for info in infos] == list(FILES)
        assert all(info.isfile() and info.mode == 0o644 for info in infos)
        assert {(info.mtime, info.uid, info.gid, info.uname) for info in infos} == {(0, 0, 0, "")}
        assert opened.extractfile("d.json").read() == FILES["d.json"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_anything_but_plain_files_is_refused(kind: bytes) -> None:
    info = tarfile.TarInfo("a.png")
    info.type, info.linkname, info.mode = kind, "/etc/passwd", 0o644
    with pytest.raises(CorruptError, match="format demands"):
        list(tar.members(BytesIO(info.tobuf(tarfile.USTAR_FORMAT) + tar.end()), 1000))


def test_extended_header_is_refused_before_it_is_read() -> None:
    info = tarfile.TarInfo("x" * 300)
    with pytest.raises(CorruptError):
        list(tar.members(BytesIO(info.tobuf(tarfile.PAX_FORMAT) + tar.end()), 1000))


def sized(digits: bytes) -> BytesIO:
    """A header with this for its file's size, whole in itself."""
    header = bytearray(tar.member("a.png", b""))
    header[124:135] = digits
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:512]))
    return BytesIO(bytes(header))


def test_huge_size_is_refused_before_it_is_read() -> None:
    with pytest.raises(CorruptError, match="above 1,000"):
        list(tar.members(sized(b"77777777777"), 1000))


@pytest.mark.parametrize("digits", [b"-0000001000", b"+0000001000", b" 0000001000", b"0000000_100"])
def test_size_that_is_no_plain_number_is_refused(digits: bytes) -> None:
    with pytest.raises(CorruptError, match="no size"):
        list(tar.members(sized(digits), 1000))
    with pytest.raises(CorruptError, match="no size"):
        list(tar.starts(sized(digits)))


@pytest.mark.parametrize("cut", [0, 100, 512, 1024, -1, -512, -1024])
def test_truncated_tar_is_refused(cut: int) -> None:
    with pytest.raises(CorruptError, match="ends early"):
        list(tar.members(BytesIO(GOOD[:cut]), 1000))


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(CorruptError, match="goes on"):
        list(tar.members(BytesIO(GOOD + b"\0"), 1000))


def test_every_flipped_byte_of_a_header_is_noticed() -> None:
    for place in range(512):
        bad = bytearray(GOOD)
        bad[place] ^= 0x80
        with pytest.raises(CorruptError):
            list(tar.members(BytesIO(bytes(bad)), 1000))
