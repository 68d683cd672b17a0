"""The paths of the pages."""

from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from marketplace.web import (
    about,
    assets,
    conduct,
    disputes,
    keys,
    mailbox,
    notifications,
    people,
    seals,
    subtasks,
    task_page,
    tasks,
    thread,
    trees,
    wallet,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", tasks.home, name="home"),
    path("tasks", tasks.browse, name="tasks"),
    path("tasks/new", tasks.post, name="post_task"),
    path("tasks/<str:task_id>", task_page.show, name="task"),
    path("tasks/<str:task_id>/messages", thread.show, name="thread"),
    path("tasks/<str:task_id>/tree", trees.show, name="tree"),
    path("tasks/<str:task_id>/edit", tasks.edit, name="edit_task"),
    path("tasks/<str:task_id>/split", subtasks.split, name="split_task"),
    path("disputes", disputes.queue, name="disputes"),
    path("disputes/<str:dispute_id>", disputes.show, name="dispute"),
    path("wallet", wallet.show, name="wallet"),
    path("wallet/statement.csv", wallet.statement_csv, name="statement_csv"),
    path("wallet/statement/<str:line_id>/proof", wallet.proof, name="proof"),
    path("wallet/statement/<str:line_id>/proof.json", wallet.proof_json, name="proof_json"),
    path("seals", seals.show, name="seals"),
    path("seals/blocks.jsonl", seals.blocks, name="sealed_blocks"),
    path("seals/verifier.py", seals.the_verifier, name="verifier"),
    path("assets", assets.browse, name="assets"),
    path("assets/new", assets.publish, name="publish_asset"),
    path("assets/<str:owner>/<str:name>", assets.show, name="asset"),
    path("assets/<str:owner>/<str:name>/<str:number>", assets.show, name="asset_version"),
    path("people/<str:handle>", people.profile, name="person"),
    path("reports", conduct.reports, name="reports"),
    path("freezes", conduct.freezes, name="freezes"),
    path("blocks", conduct.blocks, name="blocks"),
    path("notifications", notifications.show, name="notifications"),
    path("keys", keys.show, name="keys"),
    path("problems/", about.problems, name="problems"),
    path("problems/<str:code>", about.problem, name="problem"),
    path("api/docs", about.APIDocs.as_view(), name="api_docs"),
    path("skill.md", about.skill, name="skill"),
    path("llms.txt", about.llms, name="llms"),
    path("schemas/workflow.json", about.workflow_schema, name="workflow_schema"),
    path("accounts/email/", mailbox.show, name="mailbox"),
    path("accounts/", include("marketplace.web.accounts")),
    # Browsers ask for it wherever a page names no icon: the admin, a download.
    path("favicon.ico", RedirectView.as_view(url=static("web/favicon.svg"), permanent=True)),
]
