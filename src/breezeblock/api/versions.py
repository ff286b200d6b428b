# SPDX-License-Identifier: Apache-2.0
"""The version document: which API is here, from and to which microversion."""

from __future__ import annotations

import msgspec

from breezeblock.api import microversion

#: Path of the API below the endpoint.
BASE = "/v3"


def document(origin: str) -> bytes:
    return msgspec.json.encode(
        {
            "versions": [
                {
                    "id": "v3.0",
                    "status": "CURRENT",
                    "version": microversion.text(microversion.MAX),
                    "min_version": microversion.text(microversion.MIN),
                    "updated": microversion.UPDATED,
                    "links": [
                        {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
                        {"rel": "self", "href": f"{origin}{BASE}/"},
                    ],
                    "media-types": [
                        {
                            "base": "application/json",
                            "type": "application/vnd.openstack.volume+json;version=3",
                        }
                    ],
                }
            ]
        }
    )
