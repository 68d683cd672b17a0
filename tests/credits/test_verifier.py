"""What is hashed and how it is checked, without a database."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credits import verifier
from credits.seals import path_of
from credits.verifier import Malformed, check_export, check_proof

# Published with RFC 6962's reference implementation: eight leaves, and the root over the first n.
LEAVES = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_rfc_6962(size: int) -> None:
    hashes = [sha256(b"\0" + bytes.fromhex(leaf)).digest() for leaf in LEAVES[:size]]

    assert verifier.root(hashes).hex() == ROOTS[size - 1]


blocks = st.lists(st.binary(max_size=8), min_size=1, max_size=70, unique=True)


@settings(max_examples=60, deadline=None)
@given(blocks)
def test_every_leaf_of_a_block_has_a_path_to_its_root(leaves: list[bytes]) -> None:
    hashes = [sha256(leaf).digest() for leaf in leaves]
    size = len(hashes)

    for index, own in enumerate(hashes):
        path = path_of(hashes, index)
        assert verifier.root_by_path(own, index, size, path) == verifier.root(hashes)
        assert len(path) <= (size - 1).bit_length()


@settings(max_examples=60, deadline=None)
@given(leaves=blocks, data=st.data())
def test_no_other_leaf_place_or_path_leads_to_the_root(
    leaves: list[bytes], data: st.DataObject
) -> None:
    hashes = [sha256(leaf).digest() for leaf in leaves]
    size, right = len(hashes), verifier.root(hashes)
    index = data.draw(st.integers(0, size - 1))
    path = path_of(hashes, index)
    stranger = sha256(b"a stranger, longer than any leaf").digest()

    assert verifier.root_by_path(stranger, index, size, path) != right
    assert verifier.root_by_path(hashes[index], index, size, [*path, stranger]) is None
    for other in {*range(-1, size + 1)} - {index}:
        assert verifier.root_by_path(hashes[index], other, size, path) != right
    for step in range(len(path)):
        changed = [*path[:step], stranger, *path[step + 1 :]]
        assert verifier.root_by_path(hashes[index], index, size, changed) != right
        assert verifier.root_by_path(hashes[index], index, size, path[:step]) is None


def test_a_node_is_no_leaf() -> None:
    left, right = sha256(b"left").digest(), sha256(b"right").digest()

    assert verifier.node_hash(left, right) != sha256(b"\0" + left + right).digest()
    assert verifier.node_hash(left, right) != verifier.node_hash(right, left)


# --- A proof --------------------------------------------------------------------------------------

POSTING = {
    "id": "01a205c1-1acd-72cb-93c7-3c3c7b0e1490",
    "kind": "settle",
    "reference": "end:task_1",
    "memo": 'Grüße, "Ada"\n',
    "subject": "task_1",
    "reverses": None,
    "created_at": "2026-11-23T00:14:31.071785Z",
}
ENTRY = {
    "posting": POSTING["id"],
    "account": 1007,
    "amount": -(10**18),
    "seq": None,
    "balance_after": None,
    "epoch": 1,
    "xid": "18446744073709551615",
    "created_at": "2026-11-23T00:14:31.071790Z",
}
SALT = bytes(range(32))


def a_proof(size: int = 3, index: int = 1) -> dict[str, Any]:
    leaf = verifier.leaf(POSTING, ENTRY, SALT)
    hashes = [sha256(bytes([nth])).digest() for nth in range(size)]
    hashes[index] = verifier.leaf_hash(leaf)
    seal: dict[str, Any] = {
        "number": 1,
        "previous": verifier.NO_BLOCK,
        "root": verifier.root(hashes).hex(),
        "entries": size,
        "sealed_at": "2026-11-23T00:15:00.000000Z",
    }
    seal["hash"] = verifier.seal_hash(seal)
    return {
        "type": verifier.PROOF,
        "format": verifier.FORMAT,
        "leaf": leaf,
        "index": index,
        "path": [one.hex() for one in path_of(hashes, index)],
        "seal": seal,
    }


def test_the_leaf_is_written_as_it_was_when_the_first_block_was_sealed() -> None:
    # Blocks that are sealed can never be hashed anew: a change here needs another FORMAT.
    assert verifier.leaf(POSTING, ENTRY, SALT) == (
        '{"account":"1007","amount":"-1000000000000000000","balance_after":null,'
        '"created_at":"2026-11-23T00:14:31.071790Z","epoch":"1","format":"1","kind":"settle",'
        '"memo":"Grüße, \\"Ada\\"\\n",'
        '"nonce":"53d2bfa23536bda2a0f41b13e9fae64af6437a84444261a4cda582c923c81f94",'
        '"posting":"01a205c1-1acd-72cb-93c7-3c3c7b0e1490",'
        '"posting_created_at":"2026-11-23T00:14:31.071785Z","reference":"end:task_1",'
        '"reverses":null,"seq":null,"subject":"task_1","xid":"18446744073709551615"}'
    )
    # Computed with openssl and printf.
    assert a_proof()["seal"]["hash"] == (
        "92b83ff1c932a0546c0eed34c46d605cd00948bfd65846ccfca936cfa3a93f3a"
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9])
def test_a_proof_of_every_place_is_right(size: int) -> None:
    for index in range(size):
        assert check_proof(a_proof(size, index)) == []


def test_a_proof_is_compared_with_a_hash_that_is_trusted() -> None:
    proof = a_proof()

    assert check_proof(proof, {1: proof["seal"]["hash"], 2: "f" * 64}) == []
    assert check_proof(proof, {1: "f" * 64}) == ["seal 1: its hash is not the one that you trust"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("index", 0),
        ("index", 2),
        ("path", []),
        ("path", ["0" * 64, "1" * 64]),
        ("leaf", a_proof()["leaf"].replace("-1000", "-1001")),
        ("leaf", a_proof()["leaf"].replace('"account":', '"account" :')),
        ("leaf", "{}"),
    ],
)
def test_a_proof_that_was_changed_is_wrong(name: str, value: object) -> None:
    assert check_proof(a_proof() | {name: value}) != []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 2),
        ("previous", "1" * 64),
        ("root", "1" * 64),
        ("entries", 4),
        ("sealed_at", "2027-01-01T00:00:00.000000Z"),
        ("hash", "1" * 64),
    ],
)
def test_a_proof_whose_block_was_changed_is_wrong(name: str, value: object) -> None:
    proof = a_proof()

    assert check_proof(proof | {"seal": proof["seal"] | {name: value}}) != []


def test_another_entry_is_not_proved_by_rewriting_its_leaf_with_spaces() -> None:
    proof = a_proof(1, 0)
    spaced = json.dumps(json.loads(proof["leaf"]), sort_keys=True, ensure_ascii=False)
    seal = proof["seal"] | {"root": verifier.leaf_hash(spaced).hex()}
    seal["hash"] = verifier.seal_hash(seal)

    assert check_proof(proof | {"leaf": spaced, "seal": seal}) == [
        "the leaf is not written as a leaf is"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "other"),
        ("format", 2),
        ("leaf", None),
        ("leaf", "no JSON"),
        ("leaf", "[]"),
        ("leaf", "\ud800"),
        ("leaf", "[" * 100_000),
        ("index", True),
        ("index", "1"),
        ("path", None),
        ("path", ["A" * 64]),
        ("path", ["1"]),
        ("seal", None),
        ("seal", {}),
    ],
)
def test_what_is_no_proof_is_said_to_be_none(name: str, value: object) -> None:
    with pytest.raises(Malformed):
        check_proof(a_proof() | {name: value})


# --- An export that no ledger wrote ---------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ["no JSON"],
        ["[]"],
        ["{}"],
        ['{"type":"hansa-ledger-export","format":2}'],
        ["HEAD", "HEAD"],
        ["HEAD", "null"],
        ["HEAD", '{"type":["posting"]}'],
        ["HEAD", '{"type":"posting"}'],
        ["HEAD", '{"type":"end","postings":0,"entries":0,"seals":0,"accounts":true}'],
        ["HEAD", '{"type":"end","postings":0,"entries":0,"seals":0,"accounts":0}', "{}"],
        ["HEAD", "[" * 100_000],
        ["HEAD", "9" * 5_000],
    ],
)
def test_what_is_no_export_is_said_to_be_none(lines: list[str]) -> None:
    with pytest.raises(Malformed):
        check_export([json.dumps(verifier.HEAD) if line == "HEAD" else line for line in lines])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["type", "id", "seal"]), inner)
            ),
        ),
        max_size=3,
    )
)
def test_whatever_follows_the_head_is_read_or_named_malformed(records: list[object]) -> None:
    lines = [json.dumps(record) for record in [verifier.HEAD, *records]]

    try:
        report = check_export(lines)
    except Malformed:
        return
    assert report.findings == ["the export is cut off: it has no end"]


def test_an_empty_ledger_is_right() -> None:
    end = {"type": "end", "postings": 0, "entries": 0, "seals": 0, "accounts": 0}

    assert check_export([json.dumps(verifier.HEAD), json.dumps(end)]).findings == []
