"""Takes the tour of the product with a client that was generated from the API's description.

`document SOCKET` prints that description; `take HOME HOME` lets two nodes work together by the
client alone, and fails where the second does not come to show what the first did.
"""

import http.client
import json
import pathlib
import socket
import sys
import time

PATIENCE_S = 60


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the unix socket of a node, which needs no token."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def document(path):
    connection = UnixConnection(path)
    connection.request("GET", "/api/v1/openapi.json")
    print(connection.getresponse().read().decode())


def client_of(home):
    from fourword_client import AuthenticatedClient

    run = pathlib.Path(home, "run")
    url = json.loads((run / "api.json").read_text())["url"]
    token = (run / "api-token").read_text().strip()
    return AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True, timeout=PATIENCE_S)


def done(answer):
    """The answer, unless it is a problem."""
    from fourword_client.models import Problem

    assert answer is not None and not isinstance(answer, Problem), answer
    return answer


def eventually(what, look):
    """Looks again and again until it is so."""
    end = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < end, f"never seen: {what}"
        time.sleep(0.2)


def meet(ada, ben):
    """Ada makes a group, and Ben joins it by an invite. Gives its four words."""
    from fourword_client.api.groups import groups_create
    from fourword_client.api.invites import invites_create
    from fourword_client.api.joins import joins_create
    from fourword_client.api.members import members_list
    from fourword_client.api.node import node_set_name
    from fourword_client.models import Name, NewGroup, NewInvite, NewJoin

    done(node_set_name.sync(client=ada, body=Name(name="Ada")))
    words = done(groups_create.sync(client=ada, body=NewGroup(name="Garden"))).words
    invite = done(invites_create.sync(words, client=ada, body=NewInvite(uses=1, role="member")))
    joined = done(joins_create.sync(client=ben, body=NewJoin(code=invite.code, words=words)))
    assert joined.state == "joined", joined
    eventually("two members", lambda: len(done(members_list.sync(words, client=ada)).members) == 2)
    return words


def talk(ada, ben, words):
    from fourword_client.api.chat import chat_pin, chat_read, chat_send
    from fourword_client.api.inbox import inbox_show
    from fourword_client.api.search import search_search
    from fourword_client.models import NewMessage

    asked = done(chat_send.sync(words, client=ada, body=NewMessage(text="Shall we paint the fence?"))).id
    shown = lambda client: done(chat_read.sync(words, client=client)).messages
    eventually("the question", lambda: [message.id for message in shown(ben)] == [asked])
    done(chat_send.sync(words, client=ben, body=NewMessage(text="@Ada yes, on Friday", parent=asked)))
    done(chat_pin.sync(words, asked, client=ben))
    eventually("the answer and the pin", lambda: shown(ada)[0].replies == 1 and len(shown(ada)[0].pinned_by) == 1)
    assert done(inbox_show.sync(client=ada)).groups[0].mentions == 1
    hits = done(search_search.sync(client=ada, q="friday")).hits
    assert [hit.message.text for hit in hits] == ["@Ada yes, on Friday"], hits


def work(ada, ben, words):
    from fourword_client.api.boards import boards_add_card, boards_add_column, boards_place_card, boards_show
    from fourword_client.api.canvases import canvases_add, canvases_show
    from fourword_client.api.issues import issues_add, issues_change, issues_list
    from fourword_client.api.undo import undo_undo
    from fourword_client.models import CardPlace, ElementPatch, IssuePatch, NewCard, NewColumn, NewIssue

    for title in ["To do", "Done"]:
        done(boards_add_column.sync(words, client=ada, body=NewColumn(title=title)))
    card = done(boards_add_card.sync(words, client=ada, body=NewCard(column="To do", title="Buy paint"))).id
    issue = done(issues_add.sync(words, client=ada, body=NewIssue(title="The gate squeaks"))).id
    element = ElementPatch(element_type="text", place=[10, 10], size=[80, 20], text="Fence")
    done(canvases_add.sync(words, client=ada, body=element))

    board = lambda client: [
        (column.title, [card.title for card in column.cards])
        for column in done(boards_show.sync(words, client=client)).columns
    ]
    eventually("the board", lambda: board(ben) == [("To do", ["Buy paint"]), ("Done", [])])
    issues = lambda client, **query: done(issues_list.sync(words, client=client, **query)).issues
    eventually("the issue", lambda: [issue.title for issue in issues(ben)] == ["The gate squeaks"])
    drawn = lambda client: [element.text for element in done(canvases_show.sync(words, client=client)).elements]
    eventually("the canvas", lambda: drawn(ben) == ["Fence"])

    done(boards_place_card.sync(words, card, client=ben, body=CardPlace(column="Done")))
    done(issues_change.sync(words, issue, client=ben, body=IssuePatch(status="done")))
    eventually("the move", lambda: board(ada) == [("To do", []), ("Done", ["Buy paint"])])
    eventually("the closing", lambda: [issue.closed for issue in issues(ada)] == [True])
    done(undo_undo.sync(words, "board", client=ben))
    eventually("the move taken back", lambda: board(ada) == [("To do", ["Buy paint"]), ("Done", [])])


def take(homes):
    ada, ben = (client_of(home) for home in homes)
    words = meet(ada, ben)
    talk(ada, ben, words)
    work(ada, ben, words)
    print(f"A generated client took the tour of {words}.")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["document", path]:
            document(path)
        case ["take", *homes]:
            take(homes)
        case _:
            sys.exit(__doc__)
