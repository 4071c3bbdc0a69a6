"""What users could set and break: a configuration in use, and what objects belong to."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import vibewasm as vw


def test_a_configuration_cannot_be_changed() -> None:
    config: Any = vw.Config(fuel=True)
    vw.Engine(config)
    message = r"^a Config cannot be changed; make another: Config\(\.\.\.\)$"
    with pytest.raises(AttributeError, match=message):
        config.fuel = False
    with pytest.raises(AttributeError, match=message):
        config.fule = False
    with pytest.raises(AttributeError, match=message):
        del config.fuel
    assert config.fuel is True


def test_configurations_with_the_same_settings_are_equal() -> None:
    config = vw.Config(fuel=True, max_memory=65536, target="x86_64", profile=None)
    for same in (
        vw.Config(fuel=True, max_memory=65536, target="x86_64"),
        copy.copy(config),
        copy.deepcopy(config),
        *[pickle.loads(pickle.dumps(config, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)],
    ):
        assert type(same) is vw.Config
        assert same == config
        assert hash(same) == hash(config)
        assert repr(same) == repr(config)
        with pytest.raises(AttributeError):
            same.fuel = False
    for other in (vw.Config(), vw.Config(fuel=True), vw.Config(fuel=True, max_memory=65537, target="x86_64"), None, 3):
        assert other != config
    assert len({config, copy.copy(config), vw.Config()}) == 2


def test_a_configuration_says_which_targets_there_are() -> None:
    with pytest.raises(ValueError, match=r"^Config: target is 'x86_64', 'aarch64' or None, not 'arm'$"):
        vw.Config(target="arm")
    assert [vw.Engine(vw.Config(target=name)).target for name in ("x86_64", "aarch64")] == ["x86_64", "aarch64"]


def test_what_objects_belong_to_cannot_be_set() -> None:
    instance = vw.instantiate("(module)")
    store, module = instance.store, instance.module
    for item, names in (
        (store.engine, "config target"),
        (store, "engine"),
        (module, "engine info layout"),
        (vw.Linker(store.engine), "engine"),
        (instance, "store module"),
    ):
        for name in names.split():
            before = getattr(item, name)
            with pytest.raises(AttributeError, match=rf"'{name}' .* has no setter"):
                setattr(item, name, None)
            with pytest.raises(AttributeError, match=rf"'{name}' .* has no deleter"):
                delattr(item, name)
            assert getattr(item, name) is before
