"""SampleWindow: the host's frames, and the same seconds for the others."""
import numpy as np
import pytest
from mmaction.datasets.transforms import SampleFrames

from mbcd_mmaction.datasets.transforms import SampleWindow, Timeline


def clip(total, fps=None, modality='RGB', start_index=0, **more):
    if fps:
        more.setdefault('frame_times', np.arange(total) / fps)
    return dict(total_frames=total, start_index=start_index,
                modality=modality, **more)


def lead_and_follow(leader, follower, video, flow):
    """Frame numbers of two aligned modalities and what they shared."""
    shared = {}
    first = SampleWindow(**leader)(dict(video, shared=shared, aligned=True))
    second = SampleWindow(**follower)(dict(flow, shared=shared, aligned=True))
    return first['frame_inds'], second['frame_inds'], shared


RGB = dict(clip_len=32, frame_interval=2)
FLOW = dict(clip_len=8, frame_interval=4)


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('total', [1, 5, 31, 62, 63, 64, 65, 300])
@pytest.mark.parametrize('num_clips', [1, 3])
def test_frames_are_the_hosts(total, num_clips, test_mode):
    args = dict(RGB, num_clips=num_clips, test_mode=test_mode)
    np.random.seed(7)
    ours = SampleWindow(**args)(clip(total, 60, start_index=1))
    np.random.seed(7)
    host = SampleFrames(**args)(clip(total, 60, start_index=1))
    np.testing.assert_array_equal(ours['frame_inds'], host['frame_inds'])
    for key in ('clip_len', 'frame_interval', 'num_clips'):
        assert ours[key] == host[key]


def test_window_by_hand():
    """300 frames at 60 a second, centre: 63 frames from number 118."""
    results = SampleWindow(**RGB, test_mode=True)(clip(300, 60))
    np.testing.assert_allclose(results['shared']['window'],
                               [[118 / 60, 181 / 60]])
    timeline = results['shared']['timeline']
    np.testing.assert_allclose(timeline.starts, [118 / 60])
    np.testing.assert_allclose(timeline.lengths, [64 / 60])
    assert timeline.duration == pytest.approx(5.0)


def test_a_window_that_wraps_covers_the_clip_and_is_never_negative():
    results = SampleWindow(**RGB)(clip(40, 24))
    indices = results['frame_inds']
    assert (np.diff(indices) < 0).any()
    start, stop = results['shared']['window'][0]
    assert start == 0
    assert stop == pytest.approx(39 / 24)  # frames 0, 2 ... 38
    assert stop > start


@pytest.mark.parametrize('total', [1, 2, 3, 17, 62, 63, 64, 200])
def test_windows_are_never_empty(total):
    for seed in range(20):
        np.random.seed(seed)
        for args in (RGB, dict(RGB, num_clips=4),
                     dict(RGB, temporal_jitter=True)):
            window = SampleWindow(**args)(clip(total, 24))['shared']['window']
            assert (window[:, 0] >= 0).all()
            assert (window[:, 1] > window[:, 0]).all()
            assert (window[:, 1] <= total / 24 + 1e-9).all()


@pytest.mark.parametrize('offset', range(0, 12))
def test_half_rate_flow_is_every_fourth_of_the_same_seconds(offset):
    """EPIC: 60 and 30 frames a second, 32 x 2 and 8 x 4."""
    np.random.seed(offset)
    rgb, flow, _ = lead_and_follow(RGB, FLOW, clip(200, 60),
                                   clip(100, 30, 'Flow'))
    expected = rgb[0] // 2 + 4 * np.arange(8)
    np.testing.assert_array_equal(flow, np.minimum(expected, 99))
    # Shown at the same time, to the flow's own period.
    late = rgb[::4] / 60 - flow / 30
    assert (late >= -1e-9).all() and (late < 1 / 30).all()


def test_full_rate_flow_with_a_frame_less():
    """HAC: both at 24 frames a second, flow has N - 1 frames."""
    for seed in range(50):
        np.random.seed(seed)
        rgb, flow, _ = lead_and_follow(RGB, FLOW, clip(70, 24),
                                       clip(69, 24, 'Flow'))
        np.testing.assert_array_equal(flow, np.minimum(rgb[::4], 68))


@pytest.mark.parametrize('total', [1, 2, 3, 7, 30, 33, 64, 65])
@pytest.mark.parametrize('rate', [30, 60])
def test_flow_is_never_out_of_range(total, rate):
    frames = max(total * rate // 60 - 1, 1)
    for seed in range(30):
        np.random.seed(seed)
        _, flow, _ = lead_and_follow(RGB, FLOW, clip(total, 60),
                                     clip(frames, rate, 'Flow'))
        assert flow.min() >= 0 and flow.max() < frames


def test_followers_wrap_like_the_leader():
    """40 frames at 60 a second under a window of 64: it begins anew."""
    rgb, flow, _ = lead_and_follow(RGB, FLOW, clip(40, 60),
                                   clip(20, 30, 'Flow'))
    np.testing.assert_array_equal(rgb, np.arange(32) * 2 % 40)
    np.testing.assert_array_equal(flow, np.arange(8) * 4 % 20)


@pytest.mark.parametrize('late', [.011, 1.])
@pytest.mark.parametrize('total', [2, 7, 14, 40])
def test_followers_of_a_part_that_begins_between_two_frames(total, late):
    """Each time that the leader wraps, they wrap with it."""
    video = clip(total, frame_times=late + np.arange(total) / 60)
    flow = clip(total - 1, 60, 'Flow')  # its time is its file's
    for seed in range(5):
        np.random.seed(seed)
        leads, follows, _ = lead_and_follow(RGB, FLOW, video, flow)
        np.testing.assert_array_equal(
            follows, np.minimum(leads[::4], total - 2))


def test_repeat_last_stays_at_the_end():
    args = dict(out_of_bound_opt='repeat_last')
    rgb, flow, _ = lead_and_follow({**RGB, **args}, {**FLOW, **args},
                                   clip(40, 60), clip(20, 30, 'Flow'))
    assert rgb.max() == 38
    np.testing.assert_array_equal(flow, [0, 4, 8, 12, 16, 19, 19, 19])


def test_variable_frame_rate_follows_the_time_stamps():
    """The video halves its rate after one second; flow keeps 30 a second."""
    times = np.concatenate([np.arange(60) / 60, 1 + np.arange(60) / 30])
    video = clip(120, frame_times=times)
    rgb, flow, shared = lead_and_follow(
        dict(clip_len=8, frame_interval=4, test_mode=True), FLOW, video,
        clip(90, 30, 'Flow'))
    assert rgb[0] == 45  # (120 - 29) // 2
    start = times[45]
    period = times[-1] / 119
    length = times[rgb[-1]] - start + 4 * period
    expected = np.floor((start + np.arange(8) / 8 * length + 1e-3) * 30)
    np.testing.assert_array_equal(flow, expected)
    np.testing.assert_allclose(shared['window'],
                               [[start, times[rgb[-1]] + period]])


def test_without_aligned_each_draws_its_own():
    shared, starts = {}, []
    np.random.seed(0)
    for _ in range(2):
        results = SampleWindow(**FLOW)(
            dict(clip(3000, 30), shared=shared, aligned=False))
        starts.append(results['frame_inds'][0])
    assert starts[0] != starts[1]
    # Sound follows the first, the video where there is one.
    assert shared['window'][0, 0] == pytest.approx(starts[0] / 30)


def test_several_clips_are_aligned_one_by_one():
    rgb, flow, shared = lead_and_follow(
        dict(RGB, num_clips=3, test_mode=True),
        dict(FLOW, num_clips=3, test_mode=True), clip(600, 60),
        clip(300, 30, 'Flow'))
    assert shared['window'].shape == (3, 2)
    np.testing.assert_array_equal(
        flow.reshape(3, 8)[:, 0], rgb.reshape(3, 32)[:, 0] // 2)


def test_errors():
    with pytest.raises(ValueError, match='same num_clips: expected 2.*got 1'):
        lead_and_follow(dict(RGB, num_clips=2), FLOW, clip(600, 60),
                        clip(300, 30, 'Flow'))
    with pytest.raises(ValueError, match='at least one frame'):
        SampleWindow(**RGB)(clip(0, 60))
    with pytest.raises(ValueError, match='frame_times.*ClipInit'):
        SampleWindow(**RGB)(clip(10))


def test_average_rate_serves_where_there_are_no_times():
    results = SampleWindow(**RGB, test_mode=True)(clip(300, avg_fps=60.0))
    np.testing.assert_allclose(results['shared']['window'],
                               [[118 / 60, 181 / 60]])


def test_timeline_rounds_the_end_to_the_start():
    timeline = Timeline(np.array([1 / 3]), np.array([4 / 3]), 1.0)
    points = timeline.times(4)
    np.testing.assert_allclose(points, [[1 / 3, 2 / 3, 0, 1 / 3]], atol=1e-12)
    np.testing.assert_allclose(
        timeline.times(4, loop=False), [[1 / 3, 2 / 3, 1, 1]])
