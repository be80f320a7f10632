import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from udckit.errors import InvalidRequestError
from udckit.security.__main__ import main
from udckit.security.identity import Service
from udckit.security.installation import install

SPRING = datetime(2026, 3, 1, tzinfo=UTC)


class SetClock:
    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


def certificate(directory: Path, service: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / service / "tls.crt").read_bytes())


def test_every_service_gets_a_certificate_with_its_uri(tmp_path: Path) -> None:
    install(tmp_path, region="r77", clock=SetClock(SPRING))

    for service in Service:
        names = certificate(tmp_path, service).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"spiffe://udc/r77/{service}"]
        assert {"localhost", service.value} <= set(names.get_values_for_type(x509.DNSName))


def test_certificates_are_signed_by_the_authority_on_p256(tmp_path: Path) -> None:
    install(tmp_path, region="r77", clock=SetClock(SPRING))
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())

    issued = certificate(tmp_path, "study-router")

    issued.verify_directly_issued_by(authority)
    key = issued.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert not issued.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    ssl.create_default_context(cafile=tmp_path / "ca.crt").load_cert_chain(
        tmp_path / "study-router" / "tls.crt", tmp_path / "study-router" / "tls.key"
    )


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    install(tmp_path, region="r77", clock=SetClock(SPRING))

    keys = sorted(tmp_path.rglob("*.key"))

    assert len(keys) == len(Service) + 2  # one per service, the authority's, and the one that signs tokens
    assert {oct(key.stat().st_mode & 0o777) for key in keys} == {"0o600"}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    install(tmp_path, region="r77", clock=SetClock(SPRING))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    _, renewed = install(tmp_path, region="r77", clock=SetClock(SPRING + timedelta(days=59)))

    assert renewed == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_certificate_is_renewed_in_its_last_month_and_the_authority_stays(tmp_path: Path) -> None:
    install(tmp_path, region="r77", clock=SetClock(SPRING))
    authority = (tmp_path / "ca.crt").read_bytes()
    later = SPRING + timedelta(days=61)

    _, renewed = install(tmp_path, region="r77", clock=SetClock(later))

    assert set(renewed) == set(Service)
    assert certificate(tmp_path, "cli").not_valid_after_utc == later + timedelta(days=90)
    assert (tmp_path / "ca.crt").read_bytes() == authority


def test_a_new_host_renews_the_certificates_that_lack_it(tmp_path: Path) -> None:
    install(tmp_path, region="r77", clock=SetClock(SPRING))

    _, renewed = install(tmp_path, region="r77", clock=SetClock(SPRING), hosts=["10.1.2.3", "udc.hospital.example"])

    assert set(renewed) == set(Service)
    names = certificate(tmp_path, "nats").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "udc.hospital.example" in names.get_values_for_type(x509.DNSName)
    assert "10.1.2.3" in {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def test_the_directory_of_another_region_is_left_alone(tmp_path: Path) -> None:
    install(tmp_path, region="r77", clock=SetClock(SPRING))

    with pytest.raises(InvalidRequestError, match="not the authority of region r50"):
        install(tmp_path, region="r50", clock=SetClock(SPRING))


def test_the_command_makes_a_region(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--region", "r77", "--out", str(tmp_path / "region"), "--pool", "gpu"])

    assert "study-router" in capsys.readouterr().out
    assert (tmp_path / "region" / "nats.conf").is_file()
    assert "model-serving-job-gpu" in (tmp_path / "region" / "nats.conf").read_text()


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path: Path) -> None:
    main(["init", "--region", "r77", "--out", str(tmp_path)])

    with pytest.raises(SystemExit, match="not the authority of region r50"):
        main(["init", "--region", "r50", "--out", str(tmp_path)])
