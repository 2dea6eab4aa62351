"""Fifty mistakes in task files, fields, prompts and YAML, each with the sentence that a new user gets: file, row or key, remedy."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.environment import Environment
from orchestrator.config.loading import load_config
from orchestrator.execution.components import no_key
from orchestrator.execution.prepare import prepare
from providers.errors import InputError

HEAD = """
providers: {p: {type: openai, base_url: "http://127.0.0.1:9/v1"}}
models: {m: {provider: p}}
"""
ROW: dict[str, Any] = {"id": "a", "question": "2 + 2?", "answer": "4", "subject": "sums", "choices": ["3", "4"]}


def lines(*rows: object) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def batch(**body: object) -> dict[str, Any]:
    return {"custom_id": "r1", "body": {"messages": [{"role": "user", "content": "hi"}], **body}}


def prompt(text: str, **more: object) -> str:
    return json.dumps({"p": {"user": text, **more}})


def tasks(entry: str) -> str:
    return f"tasks: [{entry}]"


def prompts(text: str, **more: object) -> str:
    return f"tasks: [{{path: t.jsonl}}]\nsweep: {{prompt_types: [p]}}\nprompts: {prompt(text, **more)}"


TASK_FILES = [
    (
        "t.jsonl",
        lines(ROW, '{"id": "b", "question": }'),
        tasks("{path: t.jsonl}"),
        "t.jsonl, line 2: not valid JSON (unexpected character, expected a JSON value); fix or remove the line",
    ),
    (
        "t.jsonl",
        lines(ROW, "[1]"),
        tasks("{path: t.jsonl}"),
        "t.jsonl, line 2: not a JSON object; fix or remove the line",
    ),
    (
        "t.jsonl",
        lines({"text": "hi"}),
        tasks("{path: t.jsonl}"),
        (
            "t.jsonl, line 1: has no input or question or prompt or messages (its columns: text); name the column with fields: {inp"
            "ut: …}"
        ),
    ),
    (
        "t.jsonl",
        lines({**ROW, "question": None}),
        tasks("{path: t.jsonl}"),
        "t.jsonl, line 1: the column question is empty (null); fill it, or remove the row",
    ),
    (
        "t.jsonl",
        lines(ROW, ROW),
        tasks("{path: t.jsonl}"),
        (
            'the task id "a" is used twice: t.jsonl, line 1 and t.jsonl, line 2; give every task a unique id, e.g. with fields: {id'
            ': "{id}.{subject}"}'
        ),
    ),
    ("t.jsonl", "", tasks("{path: t.jsonl}"), "t.jsonl: holds no tasks"),
    (
        "t.jsonl",
        gzip.compress(lines(ROW).encode(), mtime=0),
        tasks("{path: t.jsonl}"),
        "t.jsonl: is compressed; name it t.jsonl.gz",
    ),
    (
        "t.jsonl.gz",
        lines(ROW),
        tasks("{path: t.jsonl.gz}"),
        "t.jsonl.gz: cannot be decompressed (zlib inflate failed: incorrect header check); is it complete, and gzip?",
    ),
    (
        "t.jsonl.zst",
        b"\x28\xb5\x2f\xfd\x00",
        tasks("{path: t.jsonl.zst}"),
        "t.jsonl.zst: cannot be decompressed (Truncated compressed stream); is it complete, and zstd?",
    ),
    ("t.jsonl", lines(ROW).encode("utf-16"), tasks("{path: t.jsonl}"), "t.jsonl: is UTF-16 text; save it as UTF-8"),
    ("tasks.jsonl", lines(ROW), tasks("{path: taks.jsonl}"), 'taks.jsonl: no such file; did you mean "tasks.jsonl"?'),
    (
        "t.xlsx",
        "PK",
        tasks("{path: t.xlsx}"),
        (
            "t.xlsx: unknown kind of file; task sets end in .jsonl .ndjson .json .csv .parquet .arrow .feather, also with .gz or .z"
            "st; save it as CSV"
        ),
    ),
    (
        "t.csv",
        "id;question;answer\na;2 + 2?;4\n",
        tasks("{path: t.csv}"),
        "t.csv, line 1: its columns are separated by ';'; save the file with commas",
    ),
    (
        "t.csv",
        "id,question\na,2,3\n",
        tasks("{path: t.csv}"),
        "t.csv, line 2: has 3 fields where the header has 2; fix or remove the record",
    ),
    (
        "t.json",
        json.dumps({"data": {"tasks": [ROW]}}),
        tasks("{path: t.json}"),
        "t.json: is an object, not an array of objects; say where the array is, with rows: data.tasks",
    ),
    (
        "t.json",
        json.dumps({"data": {"tasks": [ROW]}}),
        tasks("{path: t.json, rows: data.task}"),
        't.json: rows: there is no "task" in data; did you mean "tasks"? Known: tasks',
    ),
    (
        "t.json",
        json.dumps({"data": {"tasks": [ROW]}}),
        tasks("{path: t.json, rows: data}"),
        "t.json: rows: data is not an array of objects; name the array",
    ),
    (
        "t.json",
        lines(ROW, ROW),
        tasks("{path: t.json}"),
        "t.json: holds one object per line; a .json task set is one array of objects, so name the file .jsonl",
    ),
    ("t.jsonl", lines(ROW), tasks("{path: t.jsonl, rows: data}"), "t.jsonl: rows is for .json documents; leave it out"),
    (
        "folder/readme.md",
        "hello",
        tasks("{path: folder}"),
        (
            "folder: the folder holds no task file; they end in .jsonl .ndjson .json .csv .parquet .arrow .feather, also with .gz o"
            "r .zst"
        ),
    ),
    (
        "t.arrow",
        "no arrow",
        tasks("{path: t.arrow}"),
        "t.arrow: is not an Arrow file (File is too small: 8); save it again, or correct its suffix",
    ),
    (
        "saved/dataset_dict.json",
        '{"splits": ["train", "test"]}',
        tasks("{path: saved}"),
        "saved: has the splits train, test; name one with path: saved#test",
    ),
    (
        "saved/dataset_dict.json",
        '{"splits": ["train", "test"]}',
        tasks('{path: "saved#tset"}'),
        'saved: has no split "tset"; did you mean "test"? Known: test, train',
    ),
    (
        "t.jsonl",
        lines(ROW),
        tasks("{path: 'hf://gsm8k'}"),
        "tasks: hf://gsm8k is not an address of the Hugging Face hub; write hf://org/set@revision#split",
    ),
    (
        "t.jsonl",
        lines(batch(n=4)),
        tasks("{path: t.jsonl}"),
        "t.jsonl, line 1: body.n is 4: a sample has one answer; remove n, and set sweep.epochs for more answers",
    ),
    (
        "t.jsonl",
        lines({"custom_id": "r", "url": "/v1/embeddings", "body": {"input": "x"}}),
        tasks("{path: t.jsonl}"),
        (
            "t.jsonl, line 1: body has no messages (its url is /v1/embeddings): only requests to /v1/chat/completions can be run; f"
            "ix or remove the line"
        ),
    ),
]
FIELDS = [
    (
        "t.jsonl",
        lines(ROW),
        tasks("{path: t.jsonl, fields: {traget: answer}}"),
        (
            't.jsonl: fields: unknown name "traget"; did you mean "target"? Known: choices, difficulty, family, id, input, messages'
            ", system, target, task_type, tools"
        ),
    ),
    (
        "t.jsonl",
        lines(ROW),
        tasks("{path: t.jsonl, fields: {target: anwser}}"),
        (
            't.jsonl, line 1: has no column "anwser" (fields: target); did you mean "answer"? Known: answer, choices, id, question,'
            " subject"
        ),
    ),
    (
        "t.jsonl",
        lines({**ROW, "answer": {"text": "4"}}),
        tasks("{path: t.jsonl, fields: {target: answer.txt}}"),
        't.jsonl: no row has a value at "answer.txt" (fields: target); did you mean "text"? Known: text',
    ),
    (
        "t.jsonl",
        lines(ROW),
        tasks("{path: t.jsonl, fields: {id: '{id}.{level}'}}"),
        't.jsonl, line 1: has no column "level" (fields: id); Known: answer, choices, id, question, subject',
    ),
    (
        "t.jsonl",
        lines(ROW, {**ROW, "id": None}),
        tasks("{path: t.jsonl, fields: {id: '{id}.{subject}'}}"),
        't.jsonl, line 2: the column "id", of which a field is composed, holds None, not a text or a number; fix the row',
    ),
    (
        "t.jsonl",
        lines(ROW),
        tasks("{path: t.jsonl, fields: {difficulty: {constant: easy}}}"),
        'c.yaml: tasks.0.fields.difficulty.constant: unknown key; did you mean "const"? Known: column, const, if_empty (and 1 more)',
    ),
    (
        "t.jsonl",
        lines(ROW),
        tasks("{path: t.jsonl, fields: {target: {column: answer}}}"),
        "c.yaml: tasks.0.fields.target: write {const: easy}, or {column: answers.text, if_empty: unanswerable} (and 1 more)",
    ),
    (
        "t.jsonl",
        lines(ROW, {**ROW, "id": "b", "answer": []}),
        tasks("{path: t.jsonl}"),
        (
            "t.jsonl, line 2, task b: the target is empty, and every answer or none would meet it; fill it in, or say what stands "
            "for it with fields: {target: {column: …, if_empty: unanswerable}}; if_empty: null runs such tasks ungraded"
        ),
    ),
    (
        "t.csv",
        "id,question,answer\na,2 + 2?,4\n",
        tasks("{path: t.csv, fields: {target: anwser}}"),
        't.csv, line 1: the header has no column "anwser"; did you mean "answer"? Known: answer, id, question',
    ),
    ("t.jsonl", lines(ROW), tasks("{path: t.jsonl, models: [n]}"), "c.yaml: tasks.0.models names 'n'; Known: m"),
]
PROMPTS = [
    (
        "t.jsonl",
        lines(ROW),
        prompts("{subjct}: {input}"),
        (
            't.jsonl, line 1: has no column "subjct", which the prompt shows as {subjct}; did you mean "subject"? Known: answer, ch'
            "oices, difficulty, family, id, input, question, subject, target, task_type (write {{subjct}} if braces are meant)"
        ),
    ),
    (
        "t.jsonl",
        lines(ROW, {**ROW, "id": "b", "subject": None}),
        prompts("{subject}: {input}"),
        (
            't.jsonl, line 2: the column "subject" is empty, which the prompt shows as {subject}; fill it, or exclude the task with'
            " task_types"
        ),
    ),
    (
        "t.jsonl",
        lines(ROW, {"id": "b", "question": "?"}),
        prompts("{input}\n{choices:letters}"),
        (
            't.jsonl, line 2: has no column "choices", which the prompt shows as {choices:letters}; Known: difficulty, family, id, '
            "input, question, target, task_type (write {{choices:letters}} if braces are meant)"
        ),
    ),
    (
        "t.jsonl",
        lines({**ROW, "choices": 4}),
        prompts("{input}\n{choices:letters}"),
        (
            't.jsonl, line 1: the column "choices" cannot be shown as {choices:letters}: it is no list of choices, but 4; name the '
            "column that holds the list"
        ),
    ),
    (
        "t.jsonl",
        lines(ROW),
        prompts("{input}\n{choices:leters}"),
        (
            'prompt type p: user: {choices:leters} has the unknown form "leters"; did you mean "letters"? Known: bullets, json, let'
            "ters, lines, numbers"
        ),
    ),
    (
        "t.jsonl",
        lines(ROW),
        prompts("Answer the question."),
        "prompt type p: user must contain {input}, where the task's text goes, or a column such as {question}",
    ),
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl}]\nsweep: {prompt_types: [p]}\nprompts: {p: Answer briefly.}",
        "prompt type p: user must contain {input}, where the task's text goes, or a column such as {question}",
    ),
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl}]\nsweep: {prompt_types: [p]}\nprompts: {p: my prompts/brief.yaml}",
        (
            "prompts.p: 'my prompts/brief.yaml' is neither a file beside the configuration nor a text with a placeholder; correct "
            'the path, or write the text, such as "Question: {input}"'
        ),
    ),
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl}]\nsweep: {prompt_types: [p]}\nprompts: {p: {question}}",
        'c.yaml: prompts.p: YAML reads this as a mapping; put quotes around the text: "{question}"',
    ),
    (
        "t.jsonl",
        lines(ROW),
        prompts("{examples}\n{input}"),
        "prompt type p: shows {examples} and has none; add examples: {path: dev.jsonl, user: …}",
    ),
    (
        "t.jsonl",
        lines(ROW),
        prompts("{examples}\n{input}", examples={"path": "dev.jsonl", "user": "{question}"}),
        'dev.jsonl: no such file; did you mean "t.jsonl"?',
    ),
    (
        "t.jsonl",
        lines(ROW),
        prompts("{input}", examples={"path": "t.jsonl", "user": "{question}"}),
        "prompt type p: examples are shown nowhere; put {examples} into user, or give assistant to send turns",
    ),
    (
        "t.jsonl",
        lines(ROW),
        prompts("{examples}\n{input}", examples={"path": "t.jsonl", "user": "Q: {qestion}"}),
        (
            't.jsonl, row 1: has no column "qestion", which the prompt shows as {qestion}; did you mean "question"? Known: answer, '
            "choices, difficulty, family, id, input, question, subject, target, task_type (write {{qestion}} if braces are meant)"
        ),
    ),
]
YAML = [
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl}]\nmodels: {m: {provider: p}}",
        "c.yaml is not valid YAML: line 5: the key 'models' stands twice, first in line 3; rename or remove one",
    ),
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl}]\nsweep:\n  epochs: 1\n  epochs: 2",
        "c.yaml is not valid YAML: line 7: the key 'epochs' stands twice, first in line 6; rename or remove one",
    ),
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl, feilds: {}}]",
        (
            'c.yaml: tasks.0.feilds: unknown key; did you mean "fields"? Known: fields, models, path, reader, rows, scorer, '
            "tools (and 1 more)"
        ),
    ),
    ("t.jsonl", lines(ROW), "tasks: []", "c.yaml: tasks: is empty; name at least one"),
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl}]\nsweep: {num_instances: 0}",
        "c.yaml: sweep.num_instances: input should be greater than or equal to 1, not 0",
    ),
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl}]\nsweep: {prompt_types: [baselin]}",
        (
            'unknown prompt type "baselin"; did you mean "baseline"? Known: baseline, cot, flawed_logical_inconsistency, flawed_mis'
            "sing_step, flawed_parameter_error, flawed_redundant_operations, flawed_semantic_drift, flawed_sequence_disorder, flawe"
            "d_tool_misuse, optimal"
        ),
    ),
    (
        "t.jsonl",
        lines(ROW),
        "tasks: [{path: t.jsonl}",
        "c.yaml is not valid YAML: line 4: expected ',' or ']', but got '<stream end>'",
    ),
]


def sentence_of(folder: Path, name: str, content: str | bytes, config: str) -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    (folder / "c.yaml").write_text(HEAD + config)
    with pytest.raises(InputError) as caught:
        prepare(load_config(Path("c.yaml"), Environment({})), no_key)
    return str(caught.value)


@pytest.mark.parametrize(("name", "content", "config", "sentence"), [*TASK_FILES, *FIELDS, *PROMPTS, *YAML])
def test_a_mistake_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str | bytes, config: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence_of(Path(), name, content, config) == sentence
