"""Rows of the registry. What may never change is refused by triggers; see `migrations/sql/`."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from assets.royalties import LEAST_RATE_BPS, MOST_RATE_BPS, SHARED_BPS

NAME_CHARACTERS = 64
NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
DESCRIPTION_CHARACTERS = 4_000
TAG_CHARACTERS = 40
LICENSE_CHARACTERS = 100
REFERENCE_CHARACTERS = 200
REASON_CHARACTERS = 1_000


class Kind(models.TextChoices):
    """What an asset is."""

    SKILL = "skill", "Skill"
    WORKFLOW = "workflow", "Workflow"
    TRACE = "trace", "Trace"
    EXPERIENCE = "experience", "Experience"


class Blob(models.Model):
    """The bytes of a file, kept once under the digest of what they are."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}$"),
                name="assets_blob_is_named_by_its_digest",
            ),
            models.CheckConstraint(condition=Q(size__gte=0), name="assets_blob_size_not_negative"),
        ]

    def __str__(self) -> str:
        return self.sha256


class Asset(models.Model):
    """Something that work left behind and that the next one can use: a name under its owner.

    What it shows (description, tags, license) is what its `latest` version says.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="assets")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=NAME_CHARACTERS)
    description = models.TextField(blank=True, default="")
    tags = ArrayField(models.CharField(max_length=TAG_CHARACTERS), default=list, blank=True)
    license = models.CharField(max_length=LICENSE_CHARACTERS, blank=True, default="")
    # The highest version that is not yanked; a pre-release only where there is nothing else. Null
    # once every version is yanked, and such an asset is not found by searching.
    latest = models.ForeignKey("Version", models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    # array_to_string() is only STABLE, so an immutable function of ours stands around it. Queries
    # defer this column: it is for the index, not for reading.
    search = models.GeneratedField(
        expression=Func(F("name"), F("description"), F("tags"), function="assets_search_of"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            # Names are never reused: an asset is never deleted either.
            models.UniqueConstraint(
                fields=["owner", "name"], name="assets_asset_name_once_per_owner"
            ),
            models.CheckConstraint(
                condition=Q(name__regex=NAME_PATTERN), name="assets_asset_name_is_well_formed"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=Kind.values), name="assets_asset_kind_known"
            ),
        ]
        indexes = [
            GinIndex(fields=["search"], name="assets_asset_search"),
            GinIndex(fields=["tags"], name="assets_asset_tags"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """The asset as people write it: `owner/name`. Reads the owner."""
        return f"{self.owner.get_username()}/{self.name}"


class Version(models.Model):
    """One published state of an asset. Immutable, except that it can be yanked once, with a reason.

    Its primary key is the publish sequence: whatever a version rests on was published before it and
    has a smaller one, which is how the database itself makes cycles impossible.
    """

    asset = models.ForeignKey(Asset, models.PROTECT, related_name="versions")
    number = models.CharField(max_length=64)
    # Sorts as semver says, compared byte by byte; see semver.Number.precedence.
    precedence = models.CharField(max_length=255, db_collation="C")
    digest = models.CharField(max_length=64, db_index=True)
    description = models.TextField(blank=True, default="")
    tags = ArrayField(models.CharField(max_length=TAG_CHARACTERS), default=list, blank=True)
    license = models.CharField(max_length=LICENSE_CHARACTERS, blank=True, default="")
    # The sidecar `asset.json` and the front matter of `SKILL.md`, as far as they could be read.
    manifest = models.JSONField(default=dict, blank=True)
    front_matter = models.JSONField(default=dict, blank=True)
    # Opaque here; the marketplace writes the task that the version came out of.
    source_reference = models.CharField(max_length=REFERENCE_CHARACTERS, blank=True, default="")
    size = models.BigIntegerField()
    file_count = models.IntegerField()
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    published_at = models.DateTimeField(db_default=Now())
    yanked_at = models.DateTimeField(null=True, blank=True)
    yank_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["asset", "number"], name="assets_version_number_once"),
            # 1.0.0 and 1.0.0+build are the same place in the order; only one of them can be taken.
            models.UniqueConstraint(
                fields=["asset", "precedence"], name="assets_version_precedence_once"
            ),
            models.CheckConstraint(
                condition=Q(yanked_at__isnull=False) | Q(yank_reason=""),
                name="assets_version_yank_reason_needs_a_yank",
            ),
        ]
        indexes = [
            models.Index(
                fields=["source_reference"],
                name="assets_version_source",
                condition=~Q(source_reference=""),
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """The version as people write it: `owner/name@1.0.0`. Reads the asset and its owner."""
        return f"{self.asset.reference}@{self.number}"

    @property
    def is_yanked(self) -> bool:
        """Whether no new lock may choose this version any more."""
        return self.yanked_at is not None


class VersionFile(models.Model):
    """One file of a version."""

    version = models.ForeignKey(Version, models.PROTECT, related_name="files")
    path = models.CharField(max_length=1024, db_collation="C")
    mode = models.IntegerField()
    size = models.BigIntegerField()
    blob = models.ForeignKey(Blob, models.PROTECT, db_column="sha256", related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "path"], name="assets_file_path_once"),
        ]

    def __str__(self) -> str:
        return self.path

    @property
    def sha256(self) -> str:
        """The digest of the file's bytes, in hex."""
        return self.blob_id


class Dependency(models.Model):
    """A direct dependency: what was asked for, and the version it was resolved to."""

    version = models.ForeignKey(Version, models.PROTECT, related_name="dependencies")
    dependency = models.ForeignKey(Version, models.PROTECT, related_name="dependents")
    constraint = models.CharField(max_length=100)
    rate_bps = models.IntegerField()

    class Meta:
        verbose_name_plural = "dependencies"
        constraints = [
            models.UniqueConstraint(
                fields=["version", "dependency"], name="assets_dependency_once"
            ),
            # Edges only point to what was published before, so no cycle can be written at all.
            models.CheckConstraint(
                condition=Q(dependency__lt=F("version")), name="assets_dependency_points_back"
            ),
            models.CheckConstraint(
                condition=Q(rate_bps__range=(LEAST_RATE_BPS, MOST_RATE_BPS)),
                name="assets_dependency_rate_in_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} needs {self.dependency_id} ({self.constraint})"


class Closure(models.Model):
    """A version that another one needs, directly or not. All of them together are its lock."""

    # Up to 256 rows a version: a key of its own would only be one more index to write.
    pk = models.CompositePrimaryKey("version_id", "member_id")
    version = models.ForeignKey(Version, models.PROTECT, related_name="closure", db_index=False)
    member = models.ForeignKey(Version, models.PROTECT, related_name="closures_with_it")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(member__lt=F("version")), name="assets_closure_points_back"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} needs {self.member_id}"


class Share(models.Model):
    """What a version passes on of all it earns: a final external edge of the royalty graph.

    Final means: edges to the owner's own assets have been replaced by the shares of those, and a
    sum over 4,000 basis points has been scaled down to it.
    """

    version = models.ForeignKey(Version, models.PROTECT, related_name="shares")
    beneficiary = models.ForeignKey(Version, models.PROTECT, related_name="shares_received")
    rate_bps = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "beneficiary"], name="assets_share_once"),
            models.CheckConstraint(
                condition=Q(beneficiary__lt=F("version")), name="assets_share_points_back"
            ),
            models.CheckConstraint(
                condition=Q(rate_bps__range=(1, SHARED_BPS)), name="assets_share_rate_in_bounds"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} passes {self.rate_bps} bps to {self.beneficiary_id}"
