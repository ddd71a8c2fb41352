"""Keep what Ansible compiles of its templates, for all its workers and for the next run."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import sys
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from ansible._internal._templating import _jinja_bits as bits
from ansible.plugins.callback import CallbackBase
from jinja2 import nodes
from jinja2.bccache import Bucket, FileSystemBytecodeCache
from jinja2.environment import TemplateExpression

DOCUMENTATION = """
name: compiled_templates
type: aggregate
short_description: Compiles each template once
description:
  - Ansible forks a worker for every task on every host, and each compiles anew every template it meets, a quarter of
    all it computes. Jinja has a store of compiled templates, but uses it for files only, never for the strings
    that Ansible's variables are. This hands it those as well.
  - The store lies in the private Python environment. Like that it holds code which Python runs, belongs to the same
    user, and is made anew with every other version of Ansible or Jinja.
requirements:
  - enabled by callbacks_enabled in ansible.cfg
"""

FOLDER: Final = "compiled-templates"
_FILTERS: Final = Path(__file__).resolve().parents[1] / "filter"

# An expression reaches Jinja's compiler as a tree, which is no key; its text is, and waits here.
_awaited: ContextVar[Bucket | None] = ContextVar("awaited", default=None)


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible ships no types
    """Works when a playbook begins and is silent from then on."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "compiled_templates"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002 - Ansible calls it so
        """A playbook begins; its workers are forked later."""
        install()


def install(folder: Path | None = None) -> None:
    """Let Ansible of this process, and of those forked from it, use the store; a second call changes nothing.

    Args:
        folder: Where the store lies, otherwise in this Python's environment; made if missing, for this user alone.
    """
    environment = bits.AnsibleEnvironment
    if hasattr(environment, "_sitewright_store"):
        return
    try:
        folder = _ready(folder or Path(sys.prefix) / FOLDER)
    except OSError:
        return  # an environment that is read only: each worker compiles, as ever
    store = FileSystemBytecodeCache(str(folder), "%s")
    compile_plainly, compile_expression_plainly = environment.compile, environment.compile_expression

    def bucket_of(env: Any, kind: str, source: str) -> Bucket:
        """What the store has of a text; the same text compiles to something else under other settings."""
        name = f"{kind}\0{_settings(env)}\0{source}"
        try:
            return store.get_bucket(env, name, None, source)
        except (EOFError, ValueError, pickle.UnpicklingError):  # cut short by a power failure: Jinja notices some cuts
            return Bucket(env, store.get_cache_key(name), store.get_source_checksum(source))

    def compile_template(
        self: Any, source: str | nodes.Template, name: str | None = None, filename: str | None = None, **rest: Any
    ) -> Any:
        """Take the place of `Environment.compile`."""
        if name is not None or filename is not None or rest:
            return compile_plainly(self, source, name, filename, **rest)
        bucket = bucket_of(self, "template", source) if isinstance(source, str) else _awaited.get()
        if bucket is None:
            return compile_plainly(self, source)
        if bucket.code is None:
            bucket.code = compile_plainly(self, source)
            with suppress(OSError):  # a full disk costs the next worker time, not this one its task
                store.set_bucket(bucket)
        return bucket.code

    def compile_expression(self: Any, source: str, undefined_to_none: bool = True) -> TemplateExpression:
        """Take the place of `Environment.compile_expression`."""
        bucket = bucket_of(self, "expression", source)
        if bucket.code is None:
            token = _awaited.set(bucket)
            try:
                expression: TemplateExpression = compile_expression_plainly(self, source, undefined_to_none)
                return expression
            finally:
                _awaited.reset(token)
        template = self.template_class.from_code(self, bucket.code, self.make_globals(None), None)
        return TemplateExpression(template, undefined_to_none)

    environment._sitewright_store = store
    environment.compile, environment.compile_expression = compile_template, compile_expression


def _ready(folder: Path) -> Path:
    """The folder for the filters as they are now, made if need be; what was compiled for others is removed.

    What a template compiles to depends on its filters as well: some want to be given the context, too.
    """
    digest = hashlib.sha256()
    for plugin in sorted(_FILTERS.glob("[!_]*.py")):
        digest.update(plugin.read_bytes())
    mine = folder / digest.hexdigest()[:16]
    if not mine.is_dir():
        for other in set(folder.glob("*")) - {mine}:  # a process beside us may just have made it
            shutil.rmtree(other, ignore_errors=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        mine.mkdir(mode=0o700, exist_ok=True)
    return mine


def _settings(env: Any) -> str:
    """Everything besides the text that decides what Ansible compiles."""
    context = bits._TemplateCompileContext.current(optional=True)
    return repr(
        (
            type(env).__qualname__,
            [getattr(env, name) for name in bits._TEMPLATE_OVERRIDE_FIELD_NAMES],
            sorted(env.extensions),
            bool(context and context.escape_backslashes),
            bits._TemplateConfig.allow_embedded_templates,
        )
    )
