"""The hub's own client: downloads {"repository"} from {"endpoint"} into {"cache"}, and says what it then finds there."""

import json
import sys

from huggingface_hub import scan_cache_dir, snapshot_download

request = json.load(sys.stdin)
folder = snapshot_download(
    request["repository"],
    revision=request.get("revision"),
    cache_dir=request["cache"],
    endpoint=request["endpoint"],
)
scan = scan_cache_dir(request["cache"])
json.dump(
    {
        "folder": folder,
        "warnings": [str(warning) for warning in scan.warnings],
        "repositories": [
            {
                "name": repo.repo_id,
                "path": str(repo.repo_path),
                "files": sorted(
                    str(file.file_path.relative_to(revision.snapshot_path))
                    for revision in repo.revisions
                    for file in revision.files
                ),
            }
            for repo in scan.repos
        ],
    },
    sys.stdout,
)
