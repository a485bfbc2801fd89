"""The coder of FORMAT.md in pure Python integers: slow, short, and nothing but the text of that page.

A table is a list of frequencies; words are a list of integers. `Encoder.push` takes what `Decoder.pop` gives.
"""


def radius(table):
    return len(table) // 2 - 1


class Decoder:
    def __init__(self, words):
        self.words, self.state = list(words), 0
        if self.words:
            assert self.words[-1] != 0
            self.state = self.words.pop()
            self.refill()
        self.trace = []  # (state before, table, entry, state after)

    def refill(self):
        if self.state < 2**32 and self.words:
            self.state = self.state * 2**32 + self.words.pop()

    def entry(self, table):
        before, left, entry = self.state, 0, 0
        quantile = self.state % 2**24
        while quantile >= left + table[entry]:
            left, entry = left + table[entry], entry + 1
        self.state = self.state // 2**24 * table[entry] + quantile - left
        self.refill()
        self.trace.append((before, table, entry, self.state))
        return entry

    def escape(self):
        zeros, bits = 0, [2**23, 2**23]
        while self.entry(bits) == 0:
            zeros += 1
            assert zeros <= 11
        value = 1
        for _ in range(zeros):
            value = 2 * value + self.entry(bits)
        return value - 1

    def pop(self, indexes, tables):
        """`tables[k]` for scale index k; tables[0] is not looked at."""
        symbols = [0] * len(indexes)
        for k in range(1, len(tables)):
            group = [position for position, index in enumerate(indexes) if index == k]
            for position in group:
                symbols[position] = self.entry(tables[k]) - radius(tables[k])
            for position in group:
                if symbols[position] > radius(tables[k]):
                    half, negative = divmod(self.escape(), 2)
                    symbols[position] = (radius(tables[k]) + 1 + half) * (-1 if negative else 1)
        return symbols

    def finished(self):
        return self.state == 0 and not self.words


class Encoder:
    def __init__(self):
        self.bulk, self.state = [], 0

    def entry(self, table, entry):
        frequency, left = table[entry], sum(table[:entry])
        if self.state // 2**40 >= frequency:
            self.bulk.append(self.state % 2**32)
            self.state //= 2**32
        self.state = self.state // frequency * 2**24 + self.state % frequency + left

    def push(self, symbols, indexes, tables):
        for table, entry in reversed(entries(symbols, indexes, tables)):
            self.entry(table, entry)

    def words(self):
        state, words = self.state, list(self.bulk)
        while state:
            words.append(state % 2**32)
            state //= 2**32
        return words


def entries(symbols, indexes, tables):
    """The (table, entry) pairs of one pop in the order of decoding."""
    pairs = []
    for k in range(1, len(tables)):
        r = radius(tables[k])
        group = [symbol for symbol, index in zip(symbols, indexes, strict=True) if index == k]
        pairs += [(tables[k], symbol + r if abs(symbol) <= r else 2 * r + 1) for symbol in group]
        for symbol in group:
            if abs(symbol) > r:
                code = 2 * (abs(symbol) - r - 1) + (symbol < 0) + 1
                pairs += [([2**23, 2**23], 0)] * (code.bit_length() - 1)
                pairs += [([2**23, 2**23], int(bit)) for bit in f"{code:b}"]
    return pairs
