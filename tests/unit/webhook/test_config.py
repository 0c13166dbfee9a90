"""The service's configuration: what is taken, and that what is wrong is one sentence without a secret."""

import json

import pytest

from components.render import render
from scripts.webhook.config import ConfigError, load


def configured(tmp_path, document, key="0123456789abcdef", mode=0o600):
    (tmp_path / "webhook.json").write_text(document if isinstance(document, str) else json.dumps(document))
    (tmp_path / "webhook.key").write_text(key)
    (tmp_path / "webhook.key").chmod(mode)
    names = {"EVENKEEL_WEBHOOK_CONFIG": "webhook.json", "EVENKEEL_WEBHOOK_KEY": "webhook.key"}
    return load({name: str(tmp_path / file) for name, file in names.items()})


def test_the_template_makes_a_configuration_that_the_service_takes(tmp_path):
    urls = ["https://hooks.test/a?b=1&c=secret"]
    config = configured(tmp_path, render("control/webhook.json.j2", listen="0.0.0.0:8070", notify=urls))
    assert (config.address, config.port) == ("0.0.0.0", 8070)
    assert [(target.url, target.name) for target in config.targets] == [(urls[0], "https://hooks.test")]
    assert "secret" not in repr(config)
    assert "0123456789abcdef" not in repr(config)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "cannot be read"),
        ([], "no JSON object"),
        ({"listens": "0.0.0.0:1"}, "nobody knows"),
        ({"listen": "8070"}, "ADDRESS:PORT"),
        ({"notify": "http://a"}, "list of URLs"),
        ({"notify": ["http://a", "ftp://secret"]}, "entry 2"),
        ({"notify": ["http://user:secret@a"]}, "entry 1"),
        ({"notify": ["http://a:port"]}, "entry 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, document, reason):
    with pytest.raises(ConfigError, match=reason) as refusal:
        configured(tmp_path, document)
    assert "secret" not in str(refusal.value)


def test_a_key_that_is_short_or_open_to_others_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="shorter than 16 bytes"):
        configured(tmp_path, {}, key="short")
    with pytest.raises(ConfigError, match="0600"):
        configured(tmp_path, {}, mode=0o644)
