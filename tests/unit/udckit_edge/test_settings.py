import pytest
from pydantic import PositiveFloat, ValidationError
from pydantic_settings import SettingsConfigDict

from udckit.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_SERVICE_")

    quiet_period_s: PositiveFloat = 15.0


REQUIRED = {
    "REGION": "r77",
    "DATABASE_URL": "sqlite:////var/lib/udc/sample.db",
    "OBJECTS_URL": "file:///var/lib/udc/objects",
    "NATS_URL": "tls://nats:4222",
    "TLS_CA": "/etc/udc/ca.crt",
    "TLS_CERT": "/etc/udc/tls.crt",
    "TLS_KEY": "/etc/udc/tls.key",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(f"SAMPLE_SERVICE_{name}", value)
    return monkeypatch


def test_settings_come_from_variables_with_the_prefix_of_the_service(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SAMPLE_SERVICE_QUIET_PERIOD_S", "2.5")

    settings = Settings.from_environment()

    assert (settings.region, settings.quiet_period_s, settings.grpc_port) == ("r77", 2.5, 0)
    assert settings.service == "sample-service"


def test_a_misspelt_variable_stops_the_start_and_names_the_closest(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SAMPLE_SERVICE_QUIET_PEROID_S", "2.5")

    with pytest.raises(SystemExit) as stopped:
        Settings.from_environment()

    assert str(stopped.value) == (
        "cannot start: the variable SAMPLE_SERVICE_QUIET_PEROID_S names no setting;"
        " the closest is SAMPLE_SERVICE_QUIET_PERIOD_S"
    )


@pytest.mark.parametrize(
    "name", ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_GRPC", "PORT", "PORT_50051_TCP", "PORT_50051_TCP_ADDR"]
)
def test_what_kubernetes_adds_for_a_service_of_the_same_name_is_no_stranger(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(f"SAMPLE_SERVICE_{name}", "tcp://10.0.0.1:50051")

    assert Settings.from_environment().region == "r77"


def test_variables_of_another_service_are_left_alone(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTHER_SERVICE_ANYTHING", "1")

    assert Settings.from_environment().region == "r77"


def test_every_fault_is_named_by_its_variable_and_no_value_is_shown(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SAMPLE_SERVICE_NATS_URL")
    environment.setenv("SAMPLE_SERVICE_REGION", "Moscow-secret")
    environment.setenv("SAMPLE_SERVICE_GRACE_S", "-1")

    with pytest.raises(SystemExit) as stopped:
        Settings.from_environment()

    sentence = str(stopped.value)
    assert "SAMPLE_SERVICE_NATS_URL: field required" in sentence
    assert "SAMPLE_SERVICE_REGION: " in sentence
    assert "SAMPLE_SERVICE_GRACE_S: " in sentence
    assert "Moscow-secret" not in sentence


@pytest.mark.usefixtures("environment")
def test_settings_cannot_be_changed() -> None:
    settings = Settings.from_environment()

    with pytest.raises(ValidationError):
        settings.region = "r50"  # type: ignore[misc]  # which is the point


def test_the_password_in_a_database_url_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SAMPLE_SERVICE_DATABASE_URL", "postgresql+psycopg://udc:hunter2@db/udc")

    assert "hunter2" not in repr(Settings.from_environment())
