"""Where flow and sound lie that were computed from a person's videos."""
import hashlib
import os

Segment = tuple[float | None, float | None]


def places(manifest: str, data_root: str | None = None,
           cache: str | None = None) -> tuple[str, str]:
    """Absolute data root and cache of a manifest, given or by default.

    Args:
        manifest (str): The manifest file.
        data_root (str, optional): Folder to which its paths are relative.
            Defaults to None: the manifest's own.
        cache (str, optional): Where derived files go. Defaults to None:
            ``<data_root>/derived``.

    Returns:
        tuple[str, str]: ``data_root`` and ``cache``.
    """
    root = os.path.abspath(data_root or os.path.dirname(
        os.path.abspath(manifest)))
    return root, os.path.abspath(cache or os.path.join(root, 'derived'))


def flow_paths(cache: str, data_root: str, video: str,
               segment: Segment | None = None) -> tuple[str, str]:
    """Files of the flow of one clip, whose time starts with the clip.

    Args:
        cache (str): Folder of computed files, by default
            ``<data_root>/derived``.
        data_root (str): Folder of the set.
        video (str): Absolute path of the video.
        segment (tuple, optional): Start and stop of the clip in the video,
            seconds. Defaults to None: all of it.

    Returns:
        tuple[str, str]: ``<cache>/flow/<key>[_<start>-<stop>]_x.mp4`` and
        ``..._y.mp4``, where the key is the video's path below ``data_root``.
    """
    name = _key(data_root, video)
    if segment is not None:
        start, stop = segment
        end = 'end' if stop is None else f'{stop:.3f}'
        name += f'_{start or 0:.3f}-{end}'
    stem = os.path.join(cache, 'flow', name)
    return f'{stem}_x.mp4', f'{stem}_y.mp4'


def audio_path(cache: str, data_root: str, video: str) -> str:
    """File of the sound of one whole video: ``<cache>/audio/<key>.wav``.

    Args:
        cache (str): Folder of computed files.
        data_root (str): Folder of the set.
        video (str): Absolute path of the video.

    Returns:
        str: Its path.
    """
    return os.path.join(cache, 'audio', _key(data_root, video) + '.wav')


def _key(data_root: str, video: str) -> str:
    """A video's path below the root; elsewhere, one that tells folders
    apart."""
    root, video = os.path.abspath(data_root), os.path.abspath(video)
    relative = os.path.relpath(video, root)
    if relative.split(os.sep)[0] != os.pardir:
        return relative
    folder, name = os.path.split(video)
    digest = hashlib.sha1(os.fsencode(folder)).hexdigest()[:10]
    return os.path.join('external', digest, name)
