"""Every address answers what its description says, whatever is sent to it."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from serving import served

ADDRESSES = [
    ("/healthz", "GET"),
    ("/readyz", "GET"),
    ("/metrics", "GET"),
    ("/v1/models", "GET"),
    ("/v1/colorize", "POST"),
    ("/v1/jobs", "POST"),
    ("/v1/jobs/{id_}", "GET"),
    ("/v1/jobs/{id_}", "DELETE"),
    ("/v1/jobs/{id_}/events", "GET"),
    ("/v1/jobs/{id_}/files/{number}", "GET"),
    ("/v1/jobs/{id_}/archive", "GET"),
]


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    with served(tmp_path_factory.mktemp("jobs"), most_bytes=1_000_000) as client:
        yield schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")


def test_all_addresses_are_known_here(described):
    operations = (found.ok() for found in described.get_all_operations())
    assert {(one.path, one.method.upper()) for one in operations} == set(ADDRESSES)


@pytest.mark.parametrize(("path", "method"), ADDRESSES)
def test_answers_are_as_described(described, path, method):
    @given(case=described[path][method].as_strategy())
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    def asked(case):
        case.call_and_validate(
            excluded_checks=[positive_data_acceptance]
        )  # bytes are no photograph

    asked()
