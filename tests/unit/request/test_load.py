"""Requests as files: what is taken, and what each bad one is told."""

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Fault, RequestError
from core.request import document
from core.request.load import MalformedError, bounded, canonical, check, load, parse
from core.request.spec import Request, json_schema
from core.request.surplus import counted

GOOD = "samples: 4\ncontexts:\n  - class: potion\n"


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(RequestError) as caught:
        parse(text)
    return {fault.field: f"{fault.problem} {fault.remedy}" for fault in caught.value.faults}


def test_yaml_and_json_of_the_same_request_are_equal() -> None:
    assert parse(GOOD) == parse('{"samples": 4, "contexts": [{"class": "potion"}]}')


def test_canonical_text_reads_back_as_the_same_request() -> None:
    request = parse(GOOD + "    negative: {text: blue}\nsampling: {sampler: ddim, eta: 0.5}\n")
    assert parse(canonical(request)) == request


@pytest.mark.parametrize(
    ("text", "field", "told"),
    [
        ("", "request", "empty"),
        ("- 1", "request", "mapping"),
        ("[1, 2", "line 2", "not YAML"),
        ('{"samples": }', "line 1", "not JSON"),
        ("samples: 1\nsamples: 2", "samples", "twice"),
        ('{"samples": 1, "samples": 2}', "samples", "twice"),
        ("a: &x [1]\nb: *x", "line 2", "aliases"),
        ("a: !!python/object/apply:os.system [ls]", "line 1", "tag"),
        ("a: !!int '3'", "line 1", "tag"),
        ("a: " + "[" * 100 + "]" * 100, "line 1", "nested too deeply"),
        ('{"a": ' + "[" * 100 + "]" * 100 + "}", "request", "nested too deeply"),
        ('{"a": ' + "[" * 700 + "]" * 700 + "}", "request", "nested too deeply"),
        ("a: 1\n---\nb: 2", "line 2", "second document"),
        ("? [1]\n: 2", "line 1", "key must be a word"),
        ("nam: x\n" + GOOD, "nam", "Did you mean name?"),
        ("samples: 4\ncontexts: [{class: potion, smaples: 3}]", "contexts[0].smaples", "samples"),
        ("samples: 0\ncontexts: [{class: potion}]", "samples", "at least 1"),
        ("workers: 3000000000\ncontexts: [{class: potion}]", "workers", "at most 1000000"),
        ("samples: -3\ncontexts: [{class: potion}]", "samples", "at least 1"),
        ("samples: 1.5\ncontexts: [{class: potion}]", "samples", "whole number"),
        ("samples: 0x10\ncontexts: [{class: potion}]", "samples", "whole number"),
        ("samples: true\ncontexts: [{class: potion}]", "samples", "whole number"),
        ("samples: 4\ncontexts: []", "contexts", "empty"),
        ("samples: 4\ncontexts: potion", "contexts", "must be a list"),
        ("samples: 4\ncontexts: [3]", "contexts[0]", "mapping"),
        ("samples: 4\ncontexts: [{}]", "contexts[0]", "give one of"),
        ("samples: 4\ncontexts: [{class: no, text: 5}]", "contexts[0].text", "must be text"),
        ("samples: 4\ncontexts: [{class: a, vector: [1]}]", "contexts[0]", "stands alone"),
        ("samples: 4\ncontexts: [{mixture: {a: .nan}}]", "contexts[0].mixture.a", "finite"),
        ("samples: 4\ncontexts: [{mixture: {a: .inf}}]", "contexts[0].mixture.a", "finite"),
        ("samples: 4\ncontexts: [{mixture: {a: 1, b: -1}}]", "contexts[0].mixture", "Change one"),
        ("samples: 4\ncontexts: [{mixture: {}}]", "contexts[0].mixture", "Give at least one."),
        ("samples: 4\ncontexts: [{class: a, negative: {}}]", "contexts[0]", "says nothing"),
        ("name: ../x\n" + GOOD, "name", "match"),
        ("model: ../x\n" + GOOD, "model", "match"),
        (GOOD + "sampling: {steps: 0}", "sampling.steps", "at least 1"),
        (GOOD + "sampling: {steps: 1001}", "sampling.steps", "at most 1000"),
        (GOOD + "sampling: {guidance: -1}", "sampling.guidance", "at least 0"),
        (GOOD + "sampling: {guidance: 99}", "sampling.guidance", "at most 30"),
        (GOOD + "sampling: {sampler: euler}", "sampling.sampler", "'ddim'"),
        (GOOD + "sampling: {eta: 1}", "sampling", "eta belongs"),
        (GOOD + "sampling: {interval: [3, 1]}", "sampling", "low < high"),
        (GOOD + "pixels: {palette: ['red']}", "pixels.palette[0]", "match"),
        (GOOD + "outputs: {shard_samples: 0}", "outputs.shard_samples", "at least 1"),
        (GOOD + "outputs: {preview: 1}", "outputs.preview", "must be true or false"),
        ('{"name": "\\ud800", "contexts": []}', "name", "half of a character"),
        ('{"\\ud800": 1, "contexts": [{"class": "potion"}]}', "request", "half of a character"),
        ('{"contexts": [{"\\ud800": "potion"}]}', "contexts[0]", "half of a character"),
        (GOOD + "seed: -1", "seed", "at least 0"),
        (GOOD + "version: 2", "version", "must be 1"),
        (GOOD + "parent: 5", "parent", "must be text"),
        (GOOD + "parent: {jobs: a}", "parent.jobs", "Did you mean job?"),
        (GOOD + "budget: {gpu_secs: 5}", "budget.gpu_secs", "Did you mean gpu_seconds?"),
        ('{"seed": ' + "1" * 5000 + "}", "request", "too many digits"),
    ],
)
def test_bad_request_is_told_field_and_remedy(text: str, field: str, told: str) -> None:
    assert told in faults_of(text)[field]


def test_all_faults_are_told_at_once() -> None:
    assert set(faults_of("seed: -1\nsamples: 0\ncontexts: [{class: 5}]")) == {
        "seed",
        "samples",
        "contexts[0].class",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{mixture: {a: 1, b: -1}}", '{"a": 1, "b": -1}'),
        ("{mixture: {}}", "{}"),
        ("{class: {a: 1}}", '{"a": 1}'),
    ],
)
def test_value_is_told_with_its_fault(text: str, value: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(f"samples: 4\ncontexts: [{text}]")
    assert [fault.value for fault in caught.value.faults] == [value]


def test_of_many_faults_the_first_are_told_and_all_are_counted() -> None:
    keys = "".join(f"key{number}: 1\n" for number in range(50))
    with pytest.raises(MalformedError) as caught:
        parse(keys + GOOD)
    error = caught.value
    joined = error.joined(bounded([Fault("seed", "", "no")] * 30))
    for faults, more in ((error.faults, 30), (joined.faults, 60), (bounded(joined.faults), 60)):
        assert len(faults) == 21
        assert counted(faults) == 20 + more
        assert faults[-1].problem == f"and at least {more} more"


@pytest.mark.parametrize(
    ("raw", "told"),
    [(b"\x89PNG\r\n\x1a\n", "UTF-8"), (b"name: \xe9", "UTF-8"), (b"a\0b", "binary")],
)
def test_file_that_is_no_text_is_refused(tmp_path: Path, raw: bytes, told: str) -> None:
    path = tmp_path / "request.yaml"
    path.write_bytes(raw)
    with pytest.raises(RequestError, match=told):
        load(path)


@pytest.mark.timeout(10)
def test_pipe_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 1000)
    out, into = os.pipe()
    with open(out, "rb"), open(into, "wb", buffering=0) as endless:  # noqa: PTH123
        endless.write(b"a" * 1001)
        with pytest.raises(RequestError, match="more than 1,000 bytes are too many"):
            load(Path(f"/dev/fd/{out}"))


def test_huge_missing_and_folder_files_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(100 * 2**20)
    for path, told in ((huge, "too many"), (tmp_path / "no", "no such file"), (tmp_path, "folder")):
        with pytest.raises(RequestError, match=told):
            load(path)


@given(st.text(max_size=200))
def test_any_text_is_either_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(RequestError):
        assert parse(text).contexts


WORDS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=10,
    ).map(lambda value: {"contexts": value})
)
def test_yaml_reads_whatever_json_can_say(value: dict[str, object]) -> None:
    text = "%YAML 1.2\n---\n" + json.dumps(value, ensure_ascii=True)
    assert document.parse(text) == value


def test_schema_takes_the_keys_that_the_model_takes() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {
        field.alias or name for name, field in Request.model_fields.items()
    }
    assert "class" in schema["$defs"]["ContextSpec"]["properties"]


def test_check_takes_plain_values() -> None:
    assert check({"samples": 4, "contexts": [{"class": "potion"}]}) == parse(GOOD)
