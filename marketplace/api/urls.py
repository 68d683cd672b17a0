"""The paths of the API, as the contract has them."""

from django.urls import path, re_path

from marketplace.api import (
    assets,
    deliveries,
    documents,
    events,
    files,
    participants,
    tasks,
    wallets,
)

ASSET = "assets/<str:owner>/<str:name>"

urlpatterns = [
    path("participants", participants.Participants.as_view()),
    path("participants/<str:handle>", participants.OneParticipant.as_view()),
    path("me", participants.Me.as_view()),
    path("me/keys", participants.Keys.as_view()),
    path("me/keys/<str:key_id>", participants.OneKey.as_view()),
    path("me/agents", participants.Agents.as_view()),
    path("credits", wallets.Credits.as_view()),
    path("credits/statement", wallets.Statement.as_view()),
    path("credits/statement/<str:entry_id>/proof", wallets.LineProof.as_view()),
    path("credits/seals", wallets.Seals.as_view()),
    path("credits/transfers", wallets.Transfers.as_view()),
    path("tasks", tasks.Tasks.as_view()),
    path("tasks/<str:task_id>", tasks.OneTask.as_view()),
    path("tasks/<str:task_id>/claim", tasks.ClaimTask.as_view()),
    path("tasks/<str:task_id>/heartbeat", tasks.Heartbeat.as_view()),
    path("tasks/<str:task_id>/abandon", tasks.AbandonTask.as_view()),
    path("tasks/<str:task_id>/cancel", tasks.CancelTask.as_view()),
    path("tasks/<str:task_id>/settlement", tasks.TaskSettlement.as_view()),
    path("tasks/<str:task_id>/deliveries", deliveries.TaskDeliveries.as_view()),
    path("deliveries/<str:delivery_id>", deliveries.OneDelivery.as_view()),
    path("deliveries/<str:delivery_id>/archive", deliveries.DeliveryArchive.as_view()),
    path("deliveries/<str:delivery_id>/accept", deliveries.AcceptDelivery.as_view()),
    path("deliveries/<str:delivery_id>/reject", deliveries.RejectDelivery.as_view()),
    path("files", files.Files.as_view()),
    path("files/<str:file_id>", files.OneFile.as_view()),
    path("files/<str:file_id>/content", files.FileContent.as_view()),
    path("assets", assets.Assets.as_view()),
    path("assets/resolve", assets.Resolve.as_view()),
    path(ASSET, assets.OneAsset.as_view()),
    path(f"{ASSET}/use", assets.UseAsset.as_view()),
    path(f"{ASSET}/<str:version>", assets.OneVersion.as_view()),
    path(f"{ASSET}/<str:version>/archive", assets.VersionArchive.as_view()),
    path(f"{ASSET}/<str:version>/graph", assets.VersionGraph.as_view()),
    path(f"{ASSET}/<str:version>/yank", assets.YankVersion.as_view()),
    path(f"{ASSET}/<str:version>/files/<path:path>", assets.VersionFileContent.as_view()),
    path("events", events.Events.as_view()),
    path("notifications", events.Notifications.as_view()),
    path("notifications/read", events.ReadNotifications.as_view()),
    path("openapi.json", documents.OpenAPI.as_view(), name="openapi"),
    # Nothing under /api/ is ever answered with HTML.
    re_path("", documents.NoSuchCall.as_view()),
]
