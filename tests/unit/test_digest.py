"""Hashes of documents and ids."""

from __future__ import annotations

from querymirror.digest import document_checksums, id_checksums, id_hash


def test_id_hash_is_postgresqls() -> None:
    """The value is what `('x' || substr(md5('abc'), 1, 16))::bit(64)::bigint` returns."""
    assert id_hash("abc") == -8070080442485551184


def test_swapped_documents_differ() -> None:
    """Two ids of one bucket that swap their documents change its checksum."""
    straight = document_checksums([("a", b'{"v":1}'), ("b", b'{"v":2}')], 1)
    swapped = document_checksums([("a", b'{"v":2}'), ("b", b'{"v":1}')], 1)
    assert straight[0][0] == swapped[0][0] == 2
    assert straight != swapped


def test_spelling_of_numbers_counts() -> None:
    """1.0 and 1.00 are different documents: Elasticsearch keeps what it was sent."""
    assert document_checksums([("a", b'{"v":1.0}')], 1) != document_checksums([("a", b'{"v":1.00}')], 1)


def test_ids_fall_into_buckets() -> None:
    """Each id counts once, in the bucket of its low bits."""
    sums = id_checksums(["a", "b", "c"], 16)
    assert sum(count for count, _ in sums.values()) == 3
    assert set(sums) == {id_hash(i) & 15 for i in "abc"}
