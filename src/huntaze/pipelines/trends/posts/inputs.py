"""What each platform's actor is asked: its name, and its input for a query."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.trends.posts.post import Platform

Input = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """`#hashtag`, `@profile`, or words. `cap`: most items."""

    text: str
    cap: int
    region: str | None = None
    language: str | None = None

    @property
    def tag(self) -> str | None:
        return self.text[1:] if self.text.startswith("#") else None

    @property
    def profile(self) -> str | None:
        return self.text[1:] if self.text.startswith("@") else None


@dataclass(frozen=True)
class Actor:
    """Who scrapes a platform. `memory_mb` and `timeout_s` bound one run."""

    name: str  # owner/name
    build_input: Callable[[Query], Input]
    memory_mb: int = 1024
    timeout_s: int = 900


def _tiktok(query: Query) -> Input:
    field = "hashtags" if query.tag else "profiles" if query.profile else "searchQueries"
    asked: Input = {field: [query.tag or query.profile or query.text], "resultsPerPage": query.cap}
    if query.region:
        asked["proxyCountryCode"] = query.region
    media = ("shouldDownloadVideos", "shouldDownloadCovers", "shouldDownloadSubtitles", "shouldDownloadSlideshowImages")
    return asked | dict.fromkeys(media, False)


def _instagram(query: Query) -> Input:
    if query.profile:
        url = f"https://www.instagram.com/{quote(query.profile, safe='')}/"
    else:
        url = f"https://www.instagram.com/explore/tags/{quote(query.tag or query.text.replace(' ', ''), safe='')}/"
    return {"directUrls": [url], "resultsType": "posts", "resultsLimit": query.cap, "addParentData": False}


def _x(query: Query) -> Input:
    term = f"from:{query.profile}" if query.profile else query.text
    asked: Input = {"searchTerms": [term], "maxItems": query.cap, "sort": "Latest"}
    return asked | ({"tweetLanguage": query.language} if query.language else {})


def _reddit(query: Query) -> Input:
    kept = {"skipComments": True, "skipUserPosts": True, "skipCommunity": True, "includeNSFW": False}
    asked: Input = {"maxItems": query.cap, "maxPostCount": query.cap, "sort": "new"} | kept
    if query.text.startswith("r/"):
        return asked | {"startUrls": [{"url": f"https://www.reddit.com/{quote(query.text)}/new/"}]}
    if query.profile:
        return asked | {"startUrls": [{"url": f"https://www.reddit.com/user/{quote(query.profile, safe='')}/"}]}
    return asked | {"searches": [query.tag or query.text], "searchPosts": True, "searchComments": False}


def _youtube(query: Query) -> Input:
    asked: Input = {"maxResults": query.cap, "maxResultsShorts": query.cap, "maxResultStreams": 0}
    if query.profile:
        return asked | {"startUrls": [{"url": f"https://www.youtube.com/@{quote(query.profile, safe='')}"}]}
    return asked | {"searchQueries": [query.text], "sortingOrder": "date"}


def _google_trends(query: Query) -> Input:
    return {"searchTerms": [query.tag or query.text], "geo": query.region or "", "timeRange": "now 7-d"}


ACTORS: Final[Mapping[str, Actor]] = {
    Platform.TIKTOK: Actor("clockworks/tiktok-scraper", _tiktok),
    Platform.INSTAGRAM: Actor("apify/instagram-scraper", _instagram),
    Platform.X: Actor("apidojo/tweet-scraper", _x),
    Platform.REDDIT: Actor("trudax/reddit-scraper", _reddit),
    Platform.YOUTUBE: Actor("streamers/youtube-scraper", _youtube),
    Platform.GOOGLE_TRENDS: Actor("apify/google-trends-scraper", _google_trends, memory_mb=4096),
}


def build_input(platform: str, query: Query) -> Input:
    """The actor's input. Raises Permanent (`source.query_unsupported`) for what a platform cannot be asked."""
    if platform == Platform.GOOGLE_TRENDS and query.profile:
        raise Permanent("source.query_unsupported", "Google Trends knows no profiles; name words to search for.")
    return ACTORS[platform].build_input(query)
