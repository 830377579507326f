"""Text that people write: UTF-8, or an error that says where it is not."""


def read_text(path: str) -> str:
    """Read a whole file of UTF-8 text, with or without a mark at its start.

    Args:
        path (str): The file.

    Returns:
        str: Its text, line ends as they are.

    Raises:
        ValueError: It is no UTF-8; the byte, its position and its line are
            named.
    """
    with open(path, 'rb') as file:
        content = file.read()
    try:
        return content.decode('utf-8').removeprefix('\ufeff')
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b'\n') + 1
        raise ValueError(
            f'{path}, line {line}: expected UTF-8, got the byte '
            f'0x{content[error.start]:02x} at position {error.start}. Save '
            'the file as UTF-8 (in a spreadsheet: "CSV UTF-8"), and rename '
            'media whose names are in another encoding') from error
