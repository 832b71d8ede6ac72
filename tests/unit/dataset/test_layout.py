import pytest

from core.dataset import layout
from core.errors import UsageError

SHA256 = "0123456789abcdef" * 4


def test_shard_is_named_by_number_and_content() -> None:
    key = layout.shard_key("abcdefghij23", 17, SHA256)
    assert key == "datasets/abcdefghij23/shards/000017-0123456789abcdef.tar"


def test_parts_lie_outside_the_dataset() -> None:
    key = layout.part_key("abcdefghij23", 17, SHA256)
    assert key == "work/abcdefghij23/000017-0123456789abcdef.parquet"


@pytest.mark.parametrize("job", ["", "abc", "../../../etc", "ABCDEFGHIJ23", "abcdefghij2/"])
def test_key_of_what_is_no_job_is_refused(job: str) -> None:
    with pytest.raises(UsageError, match="no job's id"):
        layout.dataset_prefix(job)
