"""Reads the Dockerfile, so that a test can run its lines without a container engine."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: its name, such as RUN.
        stage: the number of its stage, from 0; -1 before the first FROM.
        text: what follows the name, on one line.
    """

    name: str
    stage: int
    text: str

    @property
    def arguments(self) -> Sequence[str]:
        """The arguments of an instruction in the JSON form, or separated by blanks."""
        listed = self.text.find("[")
        if listed >= 0:
            arguments: list[str] = json.loads(self.text[listed:])
            return arguments
        return shlex.split(self.text)


@dataclass(frozen=True)
class Dockerfile:
    """All instructions of a Dockerfile, in order."""

    instructions: Sequence[Instruction]

    @classmethod
    def read(cls, path: Path) -> Dockerfile:
        """The instructions of that file."""
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        instructions: list[Instruction] = []
        stage = -1
        for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
            if line.strip():
                name, text = line.split(maxsplit=1)
                stage += name == "FROM"
                instructions.append(Instruction(name, stage, text))
        return cls(instructions)

    @property
    def last_stage(self) -> int:
        """The number of the stage that becomes the image."""
        return self.instructions[-1].stage

    def all(self, name: str, stage: int) -> Sequence[Instruction]:
        """The instructions with that name in that stage."""
        return [found for found in self.instructions if (found.name, found.stage) == (name, stage)]

    def one(self, name: str, stage: int) -> Instruction:
        """The only instruction with that name in that stage."""
        (found,) = self.all(name, stage)
        return found

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables of the image, without the value of the base image's PATH."""
        assignments = shlex.split(self.one("ENV", self.last_stage).text)
        return dict(assignment.split("=", 1) for assignment in assignments)
