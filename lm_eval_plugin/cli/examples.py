"""What `--help` of each command ends with: two examples, and what its exit codes mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COMMON = "2 an error that is explained on the standard error; 130 interrupted"
"""Exit codes of every command, beside those of its own."""


@dataclass(frozen=True, slots=True)
class Epilog:
    """The end of a command's help.

    Args:
        examples: Command lines.
        codes: What its exit codes mean, but for those of every command.
    """

    examples: tuple[str, ...]
    codes: str = "0 done"

    @property
    def text(self) -> str:
        """As it is printed."""
        examples, codes = (_lines(each) for each in (self.examples, f"{self.codes}; {COMMON}".split("; ")))
        return f"examples:\n{examples}\n\nexit codes:\n{codes}"


def _lines(entries: Iterable[str]) -> str:
    return "\n".join(f"  {entry}" for entry in entries)


EPILOGS: Mapping[str, Epilog] = {
    "simulate": Epilog(
        (
            "chatbench simulate --task chatbench_demo --seed 4",
            'chatbench simulate "What is 7 x 8?" --choice 54 --choice 56 --user scripted --max-turns 3',
        ),
        "0 every conversation ended; 130 one was interrupted",
    ),
    "score": Epilog(
        ("chatbench score results/new", "chatbench score results/new --baseline results/main --json"),
        "0 done; 1 the run has fewer questions than its results tell of",
    ),
    "leaderboard": Epilog(
        (
            "chatbench leaderboard results/*",
            "chatbench leaderboard results/* --sort acc_gap --format csv -o ranking.csv",
        ),
        "0 done; 1 a run could not be read, or runs have no common question and are ranked apart",
    ),
    "watch": Epilog(
        ("chatbench watch cache/mmlu", "chatbench watch cache/mmlu --serve"),
        "0 the run finished or goes on; 1 an error ended it",
    ),
    "report": Epilog(
        ("chatbench report results/* -o report.html", "chatbench report cache/mmlu_rank0.db -o unfinished.html"),
        "0 done; 1 a run, or a part of one, could not be read",
    ),
    "gate": Epilog(
        (
            "chatbench gate --baseline results/main --candidate results/new",
            "chatbench gate --baseline results/main --candidate results/new --max-drop 0.05 --junit gate.xml",
        ),
        "0 the candidate passes; 1 it fails; what --cannot-tell says (0 if nothing) where the interval of a drop lies on both "
        "sides of --max-drop; 2 the two runs cannot be compared",
    ),
    "export": Epilog(
        (
            "chatbench export results/* -o dialogues.parquet",
            "chatbench export results/new --format openai -o chats.jsonl",
        ),
        "0 done; 1 a run could not be read, and the others are there",
    ),
    "human": Epilog(("chatbench human results/mistral", "chatbench human results/demo --human my-study --json")),
    "collect": Epilog(
        (
            "chatbench collect questions.jsonl -o my-study --model hf --model-args pretrained=MODEL --chat-template",
            "chatbench collect questions.jsonl -o my-study --model chatbench-demo --alone 2 --together 2",
        ),
        "0 all questions are answered; 130 some are left, and what was answered is kept",
    ),
    "first-prompts": Epilog(
        (
            "chatbench first-prompts results/mistral --human microsoft/ChatBench",
            "chatbench first-prompts results/trained --human people --json",
        )
    ),
    "train": Epilog(
        (
            "chatbench train microsoft/ChatBench --base distilgpt2 -o my-simulator",
            "chatbench train people --base mistralai/Mistral-7B-v0.1 -o my-simulator --quantization nf4 --epochs 1",
        )
    ),
    "make-people": Epilog(("chatbench make-people people", "chatbench make-people small-study --people 12 --seed 3")),
    "ablation": Epilog(
        (
            "chatbench ablation --tasks chatbench_demo --limit 16",
            "chatbench ablation --tasks chatbench_mmlu --model hf --model-args pretrained=MODEL --persona novice",
        )
    ),
    "doctor": Epilog(
        ("chatbench doctor", "chatbench doctor chatbench-mistral-7b --json"),
        "0 each simulator that was asked for would load, or, if none was, the installation is sound; 1 not so",
    ),
    "list": Epilog(("chatbench list metrics", "chatbench list presets --json")),
    "guide": Epilog(("chatbench guide", "chatbench guide numbers")),
    "completion": Epilog(
        ('eval "$(chatbench completion bash)"', "chatbench completion fish > ~/.config/fish/completions/chatbench.fish")
    ),
    "path": Epilog(
        (
            "chatbench path tasks",
            "chatbench path demo-simulator-base",
        )
    ),
}
