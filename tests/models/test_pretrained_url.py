"""Pretrained weights from a URL: MMEngine's loader and torch's cache."""
import http.server
import threading
import urllib.error
import urllib.request
from functools import partial

import pytest
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from published_files import AUDIO, PUBLISHED, assert_loaded, refused

from mbcd_mmaction.models import Branch

register_all_modules()


class Served(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; counts what is asked for."""

    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """(folder, its address, the requests), with torch's cache in tmp."""
    folder = tmp_path / 'served'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr(Served, 'asked', [])
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), partial(Served, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f'http://127.0.0.1:{server.server_port}', Served.asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize('which', PUBLISHED)
def test_from_a_url(served, tmp_path, which):
    """Downloaded once, by MMEngine's loader; then from the cache."""
    folder, address, asked = served
    name, config, write = PUBLISHED[which]
    expected = write(folder / name, config)
    for _ in range(2):
        branch = Branch(config, checkpoint=f'{address}/{name}')
        branch.init_weights()
        assert_loaded(branch, expected)
    assert asked == [f'/{name}']
    cached = tmp_path / 'torch/hub/checkpoints' / name
    assert cached.read_bytes() == (folder / name).read_bytes()


def test_a_url_without_the_file(served):
    _, address, asked = served
    text = refused(f'{address}/gone.pth', MODELS.build(AUDIO),
                   FileNotFoundError, 'docs/data_preparation.md')
    assert '404' in text and f'{address}/gone.pth' in text
    assert asked == ['/gone.pth']


def test_a_spoilt_download_names_the_cached_file(served, tmp_path):
    folder, address, _ = served
    (folder / 'w.pth').write_text('<html>Please log in</html>')
    text = refused(f'{address}/w.pth', MODELS.build(AUDIO), ValueError,
                   'no checkpoint, or was cut off')
    assert str(tmp_path / 'torch/hub/checkpoints/w.pth') in text


def test_no_network(monkeypatch, tmp_path):
    """A URL that cannot be reached says the same as an absent file."""
    url = 'https://example.org/weights-0dd54025.pth'

    def unreachable(*args, **kwargs):
        raise urllib.error.URLError('no route to host')

    monkeypatch.setattr(urllib.request, 'urlopen', unreachable)
    monkeypatch.setattr('torch.hub.urlopen', unreachable)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    text = refused(url, MODELS.build(AUDIO), FileNotFoundError,
                   'docs/data_preparation.md')
    assert url in text and 'no route to host' in text
