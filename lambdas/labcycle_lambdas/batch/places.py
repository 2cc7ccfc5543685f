"""Where the objects of a model's batches lie in the team's artifact bucket."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
    """Keys of one model. A run is named by the execution that began it; those that resume it have plans of their own."""

    model: str

    @property
    def incoming(self) -> str:
        """Below it lie the objects that a run scores."""
        return f"batch/{self.model}/in/"

    def run(self, run: str) -> str:
        """Below it lies all that a run wrote."""
        return f"batch/{self.model}/out/{run}/"

    def plan(self, run: str, execution: str) -> str:
        return f"{self.run(run)}plans/{execution}.json"

    def predictions(self, run: str, name: str) -> str:
        return f"{self.run(run)}predictions/{name}.jsonl"

    def errors(self, run: str, name: str) -> str:
        """The rows that could not be scored; there is no such object where there are none."""
        return f"{self.run(run)}errors/{name}.jsonl"

    def result(self, run: str, name: str) -> str:
        """What became of an object, written after its predictions."""
        return f"{self.run(run)}results/{name}.json"

    def manifest(self, run: str) -> str:
        return f"{self.run(run)}manifest.json"
