"""Trains the language classifier and writes everything beside this file: `python train.py`, with ../requirements.txt.

Counts of one to three characters in a row, weighted by how rare they are, into a logistic regression. The sentences are
Django's own messages in twelve of the languages it speaks. Held out are whole applications of Django, so that no sentence
of the test is a variant of one that was learnt.
"""

import importlib.metadata
import re
import struct
import sys
from collections import Counter
from pathlib import Path

import django
import numpy as np
import onnxruntime
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from example_folder import (  # noqa: E402
    Input,
    Sample,
    model_of,
    save_golden,
    save_heldout,
    save_model,
    save_notice,
    save_samples,
    save_sums,
)
from measure import measure  # noqa: E402

SEED = 2005
LANGUAGES = {
    "cs": "Czech",
    "nl": "Dutch",
    "en": "English",
    "fr": "French",
    "de": "German",
    "el": "Greek",
    "it": "Italian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "es": "Spanish",
    "tr": "Turkish",
}
LABELS = list(LANGUAGES.values())
TRAIN_FOLDERS = ["conf", "contrib/admin"]
HELDOUT_FOLDERS = [
    "contrib/admindocs",
    "contrib/auth",
    "contrib/contenttypes",
    "contrib/flatpages",
    "contrib/gis",
    "contrib/postgres",
    "contrib/redirects",
    "contrib/sessions",
    "contrib/sites",
]
# Of one language, so that none weighs more in the accuracy.
HELDOUT_EACH = 50
MIN_WORDS = 3
SHOWN = 8
MAX_SHOWN_CHARACTERS = 70

GRAM_LENGTHS = (1, 2, 3)
# Rarer ones are names and accidents; it also bounds the file, 12 weights a gram.
MIN_MESSAGES = 3
BATCH = 256
REGULARISATION = 30.0
# The length of a text without a known gram is 0.
SMALLEST_LENGTH = 1e-6

# Placeholders and markup belong to no language.
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}|<[^>]*>|&\w+;")

SETTINGS = {
    "entry": "model.onnx",
    "metadata": {
        "task": "text-classification",
        "description": f"Tells in which of {len(LABELS)} languages a sentence is written: {', '.join(LABELS)}. "
        "Input: UTF-8 text as it stands.",
        "licence": "Apache-2.0 (model), BSD-3-Clause (training data)",
        "source": "Trained by examples/models/language/train.py on the message catalogues of Django, copyright Django "
        "Software Foundation and individual contributors, https://www.djangoproject.com",
    },
    "deployment": {"minReplicas": 2},
    "classLabels": LABELS,
    "answer": {"kind": "label", "output": "label", "confidence": "probabilities"},
}


def read_catalogue(file: Path) -> list[tuple[str, str]]:
    """English and translated messages of a compiled catalogue, plural forms one by one.

    @see GNU gettext manual, section "The Format of GNU MO Files"
    """
    content = file.read_bytes()
    magic, _, count, *tables = struct.unpack_from("<5I", content)
    if magic != 0x950412DE:
        raise SystemExit(f"{file} starts with {magic:#x}, expected 0x950412de")

    def text(table: int, row: int) -> str:
        length, start = struct.unpack_from("<2I", content, table + 8 * row)
        return content[start : start + length].decode("utf-8")

    pairs = []
    for row in range(count):
        source, translated = (text(table, row) for table in tables)
        if source == "":
            continue  # The catalogue's header.
        english = source.rpartition("\x04")[2].split("\0")
        pairs += [(english[min(i, len(english) - 1)], form) for i, form in enumerate(translated.split("\0"))]
    return pairs


def read_messages(folders: list[str]) -> dict[str, list[str]]:
    """Distinct messages by language label, sorted; English is what the others were translated from."""
    root = Path(django.__file__).parent
    found: dict[str, set[str]] = {label: set() for label in LABELS}
    for folder in folders:
        for code, label in LANGUAGES.items():
            for file in sorted((root / folder / "locale" / code / "LC_MESSAGES").glob("*.mo")):
                for english, translated in read_catalogue(file):
                    found["English"].add(english)
                    # Left as it was, it is no sentence of this language.
                    if translated != english:
                        found[label].add(translated)
    return {label: sorted(messages) for label, messages in found.items()}


def training_texts() -> tuple[list[str], np.ndarray]:
    texts, labels = [], []
    for row, messages in enumerate(read_messages(TRAIN_FOLDERS).values()):
        cleaned = sorted({" ".join(PLACEHOLDER.sub(" ", message).split()) for message in messages})
        kept = [text for text in cleaned if any(character.isalpha() for character in text)]
        texts += kept
        labels += [row] * len(kept)
    return texts, np.array(labels)


def heldout_texts(seen: set[str], rng: np.random.Generator) -> list[tuple[str, str]]:
    """Whole messages of at least three words, as Django has them, with their language; none was seen in training."""
    cases = []
    for label, messages in read_messages(HELDOUT_FOLDERS).items():
        usable = [
            message
            for message in messages
            if len(message.split()) >= MIN_WORDS
            and "\n" not in message
            and PLACEHOLDER.search(message) is None
            and message not in seen
        ]
        chosen = rng.choice(len(usable), HELDOUT_EACH, replace=False)
        cases += [(usable[row], label) for row in sorted(chosen.tolist())]
    return cases


def frequent_grams(texts: list[str]) -> tuple[list[str], np.ndarray]:
    """Runs of characters, shortest first, and the inverse document frequency of each."""
    messages = Counter()
    for text in texts:
        # As the tokenizer marks where a text starts and ends.
        marked = f"\x02{text}\x03"
        messages.update({marked[i : i + n] for n in GRAM_LENGTHS for i in range(len(marked) - n + 1)})
    grams = sorted((g for g, n in messages.items() if n >= MIN_MESSAGES), key=lambda g: (len(g), g))
    frequencies = np.array([messages[gram] for gram in grams])
    return grams, (np.log((1 + len(texts)) / (1 + frequencies)) + 1).astype(np.float32)


def feature_nodes(grams: list[str], rarity: np.ndarray) -> tuple[list[NodeProto], list[TensorProto]]:
    """text STRING [batch] → features FP32 [batch, grams], each row of length 1.

    No StringNormalizer: it needs a locale that a node's host may not have.
    """
    lengths = [len(gram) for gram in grams]
    nodes = [
        # An empty separator cuts between any two characters.
        helper.make_node(
            "Tokenizer",
            ["text"],
            ["characters"],
            domain="com.microsoft",
            mark=1,
            mincharnum=1,
            pad_value="\x04",
            separators=[""],
        ),
        helper.make_node(
            "TfIdfVectorizer",
            ["characters"],
            ["counts"],
            mode="TFIDF",
            min_gram_length=min(GRAM_LENGTHS),
            max_gram_length=max(GRAM_LENGTHS),
            max_skip_count=0,
            pool_strings=[character for gram in grams for character in gram],
            ngram_counts=[sum(n for n in lengths if n < length) for length in GRAM_LENGTHS],
            ngram_indexes=list(range(len(grams))),
            weights=rarity.tolist(),
        ),
        helper.make_node("ReduceL2", ["counts", "last_axis"], ["length"], keepdims=1),
        helper.make_node("Max", ["length", "smallest_length"], ["safe_length"]),
        helper.make_node("Div", ["counts", "safe_length"], ["features"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([1], np.int64), "last_axis"),
        numpy_helper.from_array(np.array([SMALLEST_LENGTH], np.float32), "smallest_length"),
    ]
    return nodes, constants


def compute_features(grams: list[str], rarity: np.ndarray, texts: list[str]) -> csr_matrix:
    """By the graph itself, so that what was learnt is what is served."""
    nodes, constants = feature_nodes(grams, rarity)
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(grams)])
    graph = helper.make_graph(nodes, "features", [text_input()], [features], constants)
    session = onnxruntime.InferenceSession(
        model_of(graph, contrib=True).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    parts = [np.array(texts[i : i + BATCH], dtype=object) for i in range(0, len(texts), BATCH)]
    return vstack([csr_matrix(session.run(None, {"text": part})[0]) for part in parts])


def text_input():
    return helper.make_tensor_value_info("text", TensorProto.STRING, ["batch"])


def build_graph(grams: list[str], rarity: np.ndarray, regression: LogisticRegression) -> GraphProto:
    """text STRING [batch] → label STRING [batch] and probabilities FP32 [batch, 12] in the order of the labels."""
    nodes, constants = feature_nodes(grams, rarity)
    nodes += [
        helper.make_node("Gemm", ["features", "kernel", "bias"], ["evidence"]),
        helper.make_node("Softmax", ["evidence"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["best"], axis=1, keepdims=0),
        helper.make_node("Gather", ["labels", "best"], ["label"]),
    ]
    constants += [
        numpy_helper.from_array(regression.coef_.T.astype(np.float32), "kernel"),
        numpy_helper.from_array(regression.intercept_.astype(np.float32), "bias"),
        helper.make_tensor("labels", TensorProto.STRING, [len(LABELS)], [s.encode() for s in LABELS]),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.STRING, ["batch"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(LABELS)]),
    ]
    return helper.make_graph(nodes, "language", [text_input()], outputs, constants)


def samples_of(cases: list[tuple[str, str]], rng: np.random.Generator) -> list[Sample]:
    """One whole sentence each of as many languages, short enough to be shown in a line."""
    shown = sorted(rng.choice(len(LABELS), SHOWN, replace=False).tolist())
    samples = []
    for label in (LABELS[row] for row in shown):
        texts = [
            text
            for text, language in cases
            if language == label and text.endswith(".") and len(text) <= MAX_SHOWN_CHARACTERS
        ]
        text = texts[rng.integers(len(texts))]
        request = [Input("text", "BYTES", [1], [text])]
        samples.append(Sample(text, f"{label.lower()}.json", request, label))
    return samples


def django_notice() -> str:
    notice = importlib.metadata.distribution("Django").read_text("licenses/LICENSE")
    if notice is None:
        raise SystemExit("the installed Django has no licenses/LICENSE, expected the one of requirements.txt")
    return notice


def main() -> None:
    rng = np.random.default_rng(SEED)
    texts, labels = training_texts()
    heldout = heldout_texts(set(texts), rng)

    grams, rarity = frequent_grams(texts)
    regression = LogisticRegression(C=REGULARISATION, max_iter=500)
    # Sums of another number of threads end in other last digits, and the file's digest tells.
    with threadpool_limits(limits=1):
        regression.fit(compute_features(grams, rarity, texts), labels)

    save_model(HERE, build_graph(grams, rarity, regression), SETTINGS, contrib=True)
    save_samples(HERE, samples_of(heldout, rng))
    save_notice(HERE, "LICENSE.django", django_notice())
    request = [Input("text", "BYTES", [len(heldout)], [text for text, _ in heldout])]
    save_heldout(HERE, request, [label for _, label in heldout])
    save_golden(HERE)
    save_sums(HERE)
    print(f"{len(texts)} messages learnt, {len(grams)} grams")
    measure(HERE)


if __name__ == "__main__":
    main()
