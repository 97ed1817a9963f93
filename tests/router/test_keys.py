import pytest
from aiohttp.test_utils import make_mocked_request

from router.keys import given_key, tenant_of


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc "}, "abc"),
        ({"X-API-Key": "abc"}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
        ({}, ""),
    ],
)
def test_a_key_comes_as_bearer_token_or_in_its_own_header(headers, key):
    """
    Never from the query string.
    """
    assert given_key(make_mocked_request("GET", "/?api_key=no", headers=headers)) == key


def test_a_tenants_name_does_not_tell_its_key():
    """
    Same key, same name; the name is a hash.
    """
    assert tenant_of("secret") == tenant_of("secret") != tenant_of("other")
    assert "secret" not in tenant_of("secret")
    assert tenant_of("") == ""
