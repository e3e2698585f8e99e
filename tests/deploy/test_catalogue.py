"""The catalogue of metrics, as the other checks read it."""

import catalogue


def test_every_row_of_the_table_is_read():
    text = (catalogue.REPOSITORY / "docs/metrics.md").read_text()
    families = catalogue.read(text)
    assert len(families) == text.count("\n| `")
    assert {family.kind for family in families.values()} == {"counter", "gauge", "histogram"}
    for family in families.values():
        assert family.roles and family.roles <= set(catalogue.ROLES), family
    assert families["process_open_fds"].roles == set(catalogue.ROLES)
    assert families["crossbook_request_seconds"].labels == {"transport", "operation"}
    assert "crossbook_request_seconds_bucket" in catalogue.series(families)
