"""The PKCS#11 provider against SoftHSM: what stays in the token, what a token refuses, and what it may not hold.

Where `softhsm2` is not installed this file has no test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, ObjectClass

from ops.keys import pkcs11_provider
from ops.keys.pkcs11_provider import Pkcs11Provider
from records.errors import KeyMissing, KeyProviderUnreachable
from tests.kept_keys import KeptKeys, in_a_token
from tests.throwaway_softhsm import LIBRARY, PIN, ThrowawaySoftHsm

if LIBRARY:

    @pytest.fixture
    def token(tmp_path: Path, softhsm: ThrowawaySoftHsm) -> KeptKeys:
        """Keys in a token that are not made yet."""
        return in_a_token(tmp_path, softhsm)

    def inside(token: KeptKeys, act: Callable[[Any], None]) -> None:
        """Act as another program that has the PIN."""
        session = (
            pkcs11.lib(str(LIBRARY)).get_token(token_label=token.environment["WELLKEPT_PKCS11_TOKEN"]).open(rw=True)
        )
        act(session)
        session.close()

    def test_a_key_is_made_in_the_token_and_cannot_be_taken_out(token: KeptKeys) -> None:
        token.found().begin_generation()
        wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.ID: token.deployment.bytes}
        labels = set()

        def look(session: Any) -> None:
            for key in list(session.get_objects(wanted)):
                labels.add(key.label)
                assert key[Attribute.SENSITIVE]
                assert key[Attribute.NEVER_EXTRACTABLE]
                assert key[Attribute.VALUE_LEN] == 32
                with pytest.raises(pkcs11.PKCS11Error):
                    key[Attribute.VALUE]

        inside(token, look)
        assert labels == {f"wellkept-{token.deployment}-g1", f"wellkept-{token.deployment}-g2"}

    def test_a_token_that_holds_the_clinics_keys_is_not_founded_in_again(token: KeptKeys) -> None:
        first = token.found()
        with pytest.raises(FileExistsError):
            Pkcs11Provider(first._place, token.deployment, token.keys, found=True)
        assert first.generations() == (1,)

    def test_another_clinics_keys_in_the_same_token_are_not_seen(token: KeptKeys, tmp_path: Path) -> None:
        provider = token.found()
        (tmp_path / "other").mkdir()
        other = in_a_token(tmp_path / "other", _token_of(token)).found()
        wrapped = provider.wrap(b"context", b"secret")
        with pytest.raises(KeyMissing):
            other.unwrap(1, b"context", wrapped)
        other.begin_generation()
        other.destroy_generations_below(2)
        assert provider.unwrap(1, b"context", wrapped) == b"secret"

    class _token_of:  # noqa: N801 - stands for a token that is there already
        def __init__(self, token: KeptKeys) -> None:
            given = token.environment
            self.library, self.label = given["WELLKEPT_PKCS11_LIBRARY"], given["WELLKEPT_PKCS11_TOKEN"]
            self.pin_file, self.drawn = given["WELLKEPT_PKCS11_PIN_FILE"], token.away

    @pytest.mark.parametrize(
        ("label", "extractable", "word"),
        [
            ("wellkept-{}-g2", True, "leave"),
            ("wellkept-{}-g1", False, "two keys"),
            ("elsewhere", False, "another name"),
        ],
    )
    def test_a_key_that_somebody_put_there_is_refused(
        token: KeptKeys, label: str, extractable: bool, word: str
    ) -> None:
        provider = token.found()
        given = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: extractable}
        named = label.format(token.deployment)
        inside(
            token,
            lambda session: session.generate_key(
                KeyType.AES, 256, id=token.deployment.bytes, label=named, store=True, template=given
            ),
        )
        with pytest.raises(KeyMissing, match=word):
            provider.generations()

    def test_a_pin_that_was_refused_is_not_tried_again(token: KeptKeys, monkeypatch: pytest.MonkeyPatch) -> None:
        provider = token.found()
        place = provider._place._replace(pin_file=token.folder / "pin")
        place.pin_file.write_text("wrong")
        tried = []

        class Refusing:
            """A token that refuses each PIN but one, and counts."""

            def open(self, *, rw: bool, user_pin: str) -> Any:
                tried.append(user_pin)
                raise pkcs11.exceptions.PinIncorrect

        own = pkcs11_provider._LIBRARY.token
        monkeypatch.setattr(pkcs11_provider._LIBRARY, "token", lambda *_, **__: Refusing())
        stranger = Pkcs11Provider.__new__(Pkcs11Provider)
        with pytest.raises(KeyProviderUnreachable, match="PIN"):
            stranger.__init__(place, token.deployment, token.keys)  # type: ignore[misc]  # the object is kept to ask it again
        for _ in range(3):
            with pytest.raises(KeyProviderUnreachable, match="PIN"):
                stranger.wrap(b"context", b"secret", 1)
        assert tried == ["wrong"]
        monkeypatch.setattr(pkcs11_provider._LIBRARY, "token", own)
        place.pin_file.write_text(PIN)
        assert stranger.generations() == (1,)

    def test_a_library_started_anew_voids_the_handles_of_every_provider(token: KeptKeys, tmp_path: Path) -> None:
        provider = token.found()
        (tmp_path / "other").mkdir()
        other = in_a_token(tmp_path / "other", _token_of(token)).found()
        theirs = other.wrap(b"context", b"theirs")
        ours = provider.wrap(b"context", b"ours")
        for _ in range(3):
            # What is missing starts the library anew, for the other provider too.
            with pytest.raises(KeyMissing):
                provider.unwrap(9, b"context", ours)
            assert other.unwrap(1, b"context", theirs) == b"theirs"
            assert other.unwrap(1, b"context", other.wrap(b"context", b"new")) == b"new"
            assert provider.unwrap(1, b"context", ours) == b"ours"

    def test_a_library_or_a_token_that_is_not_there_is_out_of_reach(token: KeptKeys) -> None:
        place = token.found()._place
        with pytest.raises(KeyProviderUnreachable, match="token"):
            Pkcs11Provider(place._replace(label="none"), token.deployment, token.keys)
        with pytest.raises(KeyProviderUnreachable, match="PIN"):
            Pkcs11Provider(place._replace(pin_file=token.folder / "none"), token.deployment, token.keys)
