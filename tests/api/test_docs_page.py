"""The page for the API's readers, without the internet."""

import re

from tests.api.conftest import Connect


def test_the_page_loads_nothing_from_elsewhere(connect: Connect) -> None:
    client = connect()
    page = client.get("/docs")
    assert page.status_code == 200
    assert re.findall(r"https?://", page.text) == []
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(wanted) == 3, "script, style, icon"
    for path in wanted:
        asset = client.get(path)
        assert asset.status_code == 200, path
        assert asset.content
    assert "SwaggerUIBundle" in client.get("/docs/assets/swagger-ui-bundle.js").text
    assert client.get("/openapi.json").json()["paths"]["/v1/videos"]


def test_no_other_file_is_served_there(connect: Connect) -> None:
    client = connect()
    for path in ("/docs/assets/../core.py", "/docs/assets/%2e%2e/core.py", "/docs/assets/nothing.js", "/docs/assets/"):
        assert client.get(path).status_code == 404, path
