"""detect-secrets: keys, tokens and passwords in templates, and in the files that an assembly uploads."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import importlib.metadata
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from labcycle.check.estate import Estate
from labcycle.check.finding import CheckError, Finding
from labcycle.check.template import Template, metadata_of
from labcycle.check.values import mapping

from .checker import OneByOne

NOT_SEARCHED = {
    "files over 1 MB": "they are data and models; sources and settings are smaller",
    "files that are not text in UTF-8": "no detector reads them",
    "files as a package's .dist-info/RECORD lists them, with the same hash": "they are published already",
    "folders node_modules": "they are published already",
}
_LARGEST = 1_000_000
_TEMPLATE = ".template.json"
# Detectors of the library that are not used: most of them cry wolf here.
_LEFT_OUT = {
    "ArtifactoryDetector",  # any word that begins with AP and a capital up to F
    "Base64HighEntropyString",  # every asset hash, digest and S3 key
    "CloudantDetector",  # IBM's cloud, with three more of its services: they take most of the time
    "HexHighEntropyString",  # as Base64HighEntropyString
    "IbmCloudIamDetector",
    "IbmCosHmacDetector",
    "IPPublicDetector",  # an address is no secret
    "SoftlayerDetector",
    "TelegramBotTokenDetector",  # an account and a long name, as they stand in an ARN
}
_KEYWORD = "Secret Keyword"
# What a secret-sounding name may hold: where the secret lies, or how it must look, but not the secret.
_NAMES_A_PLACE = re.compile(
    r"(arn|arns|id|name|path|param|parameter|reference|ref|uri|url|prefix|version|stages?|policy|template|length|type)$",
    re.IGNORECASE,
)
_PLACE = re.compile(r"arn:|\{\{resolve:|unknown-|true$|false$", re.IGNORECASE)
_SCRIPTS = {".env", ".sh", ".bash", ".conf", ".cfg", ".ini", ".properties", ".toml", ".yaml", ".yml"}
_CDKS_OWN = re.compile(r"aws:(cdk|asset):")


class Secrets(OneByOne):
    """Searches every text of a template, and the text files of its assets.

    Nothing is verified with the service that a secret is for, and no comment in a file switches a finding off.
    """

    by_shape = False

    def __init__(self) -> None:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
        from detect_secrets.filters import heuristic
        from detect_secrets.plugins import keyword

        self.name = f"detect-secrets {importlib.metadata.version('detect-secrets')}"
        plugins = get_mapping_from_secret_type_to_class().values()
        self._known: dict[bytes, list[tuple[int, str, str]]] = {}
        self._searched: dict[Path, list[tuple[str, str, str]]] = {}
        self._lines: dict[tuple[str, bool], list[tuple[str, str]]] = {}
        self._detectors: list[Any] = [one() for one in plugins if one.__name__ not in _LEFT_OUT]
        self._keywords = {word.replace("_?", between) for word in keyword.DENYLIST for between in ("", "_")}
        self._quoted: Any = keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
        self._unquoted: Any = keyword.CONFIG_DENYLIST_REGEX_TO_GROUP
        self._harmless: tuple[Callable[[str], bool], ...] = (
            heuristic.is_templated_secret,
            heuristic.is_prefixed_with_dollar_sign,
            heuristic.is_not_alphanumeric_string,
        )

    def check_one(self, template: Template, estate: Estate) -> Iterator[Finding]:
        """Secrets in the template, and in the assets that the list beside its file names.

        In the template these are properties and metadata of resources, parameters' defaults, mappings, outputs and the
        template's own metadata.

        Raises
        ------
        CheckError
            If an asset cannot be read.
        """
        seen = set()
        for logical_id, path, line, unquoted in _lines(template, estate):
            if (line, unquoted) not in self._lines:  # templates share most of theirs
                self._lines[line, unquoted] = list(self._secrets(line, unquoted))
            for rule, message in self._lines[line, unquoted]:
                if (logical_id, path, message) not in seen:
                    seen.add((logical_id, path, message))
                    yield _finding(template, logical_id, rule, message, path)
        for asset in _assets(template):
            if asset not in self._searched:  # stacks share their assets
                self._searched[asset] = list(self.check_files(asset))
            for place, rule, message in self._searched[asset]:
                yield _finding(template, _user(template, asset), rule, message, f"{asset.name}/{place}")

    def check_files(self, asset: Path) -> Iterator[tuple[str, str, str]]:
        """Place, rule and message of secrets in the files of an asset; `NOT_SEARCHED` says which ones are left out.

        Parameters
        ----------
        asset
            A folder, a zip or a single file.

        Raises
        ------
        CheckError
            If it cannot be read.
        """
        try:
            for place, content in _foreign_removed(_files(asset)):
                yield from self._in_file(place, content)
        except (OSError, zipfile.BadZipFile) as error:
            raise CheckError(f"the asset {asset} cannot be read: {error}. Synthesize again") from None

    def _in_file(self, place: str, content: bytes) -> Iterator[tuple[str, str, str]]:
        name = PurePosixPath(place)
        unquoted = name.suffix in _SCRIPTS or name.name.startswith(".env")
        key = hashlib.sha256(content).digest() + bytes([unquoted])  # assets share most of their files
        if key not in self._known:
            self._known[key] = list(self._in_content(content, unquoted))
        for number, rule, message in self._known[key]:
            yield f"{place}:{number}", rule, message

    def _in_content(self, content: bytes, unquoted: bool) -> Iterator[tuple[int, str, str]]:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return
        if "\0" in text:
            return
        detectors = [one for one in self._detectors if self._may_find(one, text)]
        for number, line in enumerate(text.splitlines() if detectors else (), 1):
            for rule, message in self._secrets(line, unquoted, detectors):
                yield number, rule, message

    def _may_find(self, detector: Any, text: str) -> bool:
        """Whether it is worth to show the detector every line of a text."""
        if detector.secret_type == _KEYWORD:
            small = text.lower()
            return any(word in small for word in self._keywords)
        return any(form.search(text) for form in detector.denylist)

    def _secrets(self, line: str, unquoted: bool, detectors: Sequence[Any] | None = None) -> Iterator[tuple[str, str]]:
        kinds = {}
        for detector in self._detectors if detectors is None else detectors:
            if found := sorted(self._found(detector, line, unquoted)):
                kinds[str(detector.secret_type)] = found[0]
        if len(kinds) > 1:  # what it is tells more than that its name sounds so
            kinds.pop(_KEYWORD, None)
        for kind, secret in kinds.items():
            slug = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-").removeprefix("secret-")
            digest = hashlib.sha256(secret.encode()).hexdigest()[:8]
            yield f"secret-{slug}", f"{kind}, whose SHA-256 begins with {digest}"

    def _found(self, detector: Any, line: str, unquoted: bool) -> set[str]:
        if detector.secret_type == _KEYWORD:
            if not self._may_find(detector, line):
                return set()
            found = detector.analyze_string(line, self._unquoted if unquoted else self._quoted)
            return {one for one in found if not self._is_harmless(one) and not _names_a_place(line, one)}
        # of a token some detectors tell only its first letters
        return {_whole(detector, line, one) for one in detector.analyze_string(line) if not self._is_harmless(one)}

    def _is_harmless(self, secret: str) -> bool:
        return any(harmless(secret) for harmless in self._harmless) or bool(_PLACE.match(secret))


def _finding(template: Template, logical_id: str, rule: str, message: str, path: str) -> Finding:
    return template.finding(
        logical_id,
        rule,
        "detect-secrets",
        "error",
        message,
        property_path=path,
        why="Everybody who can read the template or the code can use it",
        mend="Keep it in Secrets Manager, refer to it by {{resolve:secretsmanager:...}} or read it at run time; and replace it",
    )


def _whole(detector: Any, line: str, secret: str) -> str:
    matches = (found[0] for form in detector.denylist for found in form.finditer(line))
    return next((match for match in matches if secret in match), secret)


def _names_a_place(line: str, secret: str) -> bool:
    """Whether the name before the secret says that it is not the secret itself, as `secret_arn` does."""
    before = line[: line.rfind(secret)]
    name = re.search(r"(\w+)\W*$", before)
    return bool(name and _NAMES_A_PLACE.search(name[1]))


# --- templates ---------------------------------------------------------------------------------------------------------


def _lines(template: Template, estate: Estate) -> Iterator[tuple[str, str, str, bool]]:
    """Logical id, place, a line of text with the name of what it is, and whether it is a line of a script."""
    for logical_id, resource in template.resources():
        for section in ("Properties", "Metadata"):
            for path, line, script in _texts(template, estate, resource.get(section), section, (section,)):
                yield logical_id, ".".join(path), line, script
    for name, parameter in mapping(template.body.get("Parameters")).items():
        default = mapping(parameter).get("Default")
        for path, line, script in _texts(template, estate, default, name, ("Parameters", name, "Default")):
            yield "", ".".join(path), line, script
    for section in ("Outputs", "Metadata", "Mappings"):
        for path, line, script in _texts(template, estate, template.body.get(section), section, (section,)):
            yield "", ".".join(path), line, script


def _texts(
    template: Template, estate: Estate, value: Any, name: str, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _texts(template, estate, one, name, (*path, str(number)))
    elif isinstance(value, dict):
        if len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::")):
            yield from _texts(template, estate, estate.value(template, value), name, path)
            return
        named = value.get("Name", value.get("Key"))  # as in an environment of ECS
        for key, one in value.items():
            if not _CDKS_OWN.match(key):
                own = named if key == "Value" and isinstance(named, str) else key
                yield from _texts(template, estate, one, own, (*path, key))
    elif isinstance(value, str):
        yield from ((path, line, script) for line, script in _named(name, value))


def _named(name: str, text: str) -> Iterator[tuple[str, bool]]:
    if name == "UserData":
        text = _decoded(text)
    first, *others = text.splitlines() or [""]
    yield f'{name}: "{first}"', False
    if name == "UserData":
        yield first, True
    for line in others:
        yield line, name == "UserData"


def _decoded(text: str) -> str:
    """User data as a script; it stands in the template as it is (in Fn::Base64), or encoded."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text


# --- assets ------------------------------------------------------------------------------------------------------------


def _assets(template: Template) -> list[Path]:
    """What is uploaded for a template of an assembly, without templates; nothing for one that stands alone."""
    if not template.file.name.endswith(_TEMPLATE):
        return []
    listing = template.file.with_name(template.file.name.removesuffix(_TEMPLATE) + ".assets.json")
    if not listing.is_file():
        return []
    try:
        files = json.loads(listing.read_text(encoding="utf-8"))["files"].values()
        paths = [one["source"]["path"] for one in files if "path" in one["source"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckError(f"{listing}: the list of assets cannot be read: {error!r}. Synthesize again") from None
    return sorted({(listing.parent / path).resolve() for path in paths if not path.endswith(_TEMPLATE)})


def _user(template: Template, asset: Path) -> str:
    """The resource that uses an asset, as CDK notes it; empty if it does not."""
    for logical_id, resource in template.resources():
        if PurePosixPath(str(metadata_of(resource).get("aws:asset:path", ""))).name == asset.name:
            return logical_id
    return ""


def _files(asset: Path) -> Iterator[tuple[str, bytes]]:
    """Path within the asset and content of every file that is not too large; of the lists of packages, of any size."""
    if asset.is_file() and zipfile.is_zipfile(asset):
        with zipfile.ZipFile(asset) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and _is_searched(entry.filename, entry.file_size):
                    yield entry.filename, archive.read(entry)
    elif asset.is_file():
        if _is_searched(asset.name, asset.stat().st_size):
            yield asset.name, asset.read_bytes()
    elif asset.is_dir():
        for path in sorted(asset.rglob("*")):
            place = path.relative_to(asset).as_posix()
            if path.is_file() and _is_searched(place, path.stat().st_size):
                yield place, path.read_bytes()
    else:
        raise FileNotFoundError("there is no such file or folder")


def _is_searched(place: str, size: int) -> bool:
    parts = PurePosixPath(place).parts
    return "node_modules" not in parts and (size <= _LARGEST or parts[-1] == "RECORD")


def _foreign_removed(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """The files that no installed package brought along just as they are.

    A package's list has SHA-256 in URL-safe Base64: https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    contents = dict(files)
    published = set()
    for place, content in contents.items():
        folder = PurePosixPath(place).parent
        if PurePosixPath(place).name == "RECORD" and folder.suffix == ".dist-info":
            for path, digest, *_ in csv.reader(io.StringIO(content.decode(errors="replace"))):
                published.add((str(folder.parent / path), digest.removeprefix("sha256=")))
    for place, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        if (place, digest) not in published:
            yield place, content
