/// Which of many alternatives a path can take, so that a request does not pay for every rule of its service.
///
/// A hash table over the texts of exact paths and prefixes. The path is hashed once, from the left; at each length that some prefix has, and
/// where an element of the path ends, the hash names a bucket. Alternatives without such a text are candidates of every path.
/// It only proposes: whoever asks checks all conditions, so two texts with the same hash cost time and nothing else.
/// Immutable. A path longer than the longest text is hashed no further, so a client's long path costs what the rules' do.
struct PathIndex {
  /// What an alternative asks of the path.
  enum Key {
    case exact([UInt8])
    case prefix([UInt8])
    /// Any path, or a regular expression.
    case other
  }

  /// Up to so many alternatives, trying one after the other is as fast.
  static let smallest = 16

  /// Places in `entries` where each bucket begins, and the end of the last.
  private let starts: [UInt32]
  /// Numbers of alternatives, ascending in each bucket.
  private let entries: [UInt32]
  private let others: [UInt32]
  private let mask: UInt64
  /// Lengths of prefixes, ascending.
  private let prefixLengths: [Int]
  private let longestExact: Int

  /// Nil for so few that an index does not pay.
  init?(_ keys: [Key]) {
    guard keys.count > Self.smallest else { return nil }
    var bucketCount = 32
    while bucketCount < keys.count * 2 { bucketCount *= 2 }
    mask = UInt64(bucketCount - 1)
    var buckets = [[UInt32]](repeating: [], count: bucketCount)
    var others: [UInt32] = []
    var lengths: Set<Int> = []
    var longestExact = -1
    for (number, key) in keys.enumerated() {
      switch key {
      case .exact(let text):
        longestExact = max(longestExact, text.count)
        buckets[Int(Self.hash(text) & mask)].append(UInt32(number))
      case .prefix(let text):
        lengths.insert(text.count)
        buckets[Int(Self.hash(text) & mask)].append(UInt32(number))
      case .other:
        others.append(UInt32(number))
      }
    }
    self.others = others
    self.longestExact = longestExact
    prefixLengths = lengths.sorted()
    starts = buckets.reduce(into: [0]) { $0.append($0[$0.count - 1] + UInt32($1.count)) }
    entries = buckets.flatMap { $0 }
  }

  /// The first alternative for which `holds` is true, of those that `path` can take.
  @inline(__always)
  func first(_ path: UnsafeRawBufferPointer, where holds: (Int) -> Bool) -> Int? {
    var best = UInt32.max
    var hash = Self.basis
    var hashed = 0
    for length in prefixLengths {
      guard length <= path.count else { break }
      Self.extend(&hash, path, from: &hashed, to: length)
      if length == path.count || path[length] == UInt8(ascii: "/") { look(hash, &best, holds) }
    }
    // Where a prefix has this length, its bucket was looked into above.
    if path.count <= longestExact, hashed < path.count || hashed == 0 {
      Self.extend(&hash, path, from: &hashed, to: path.count)
      look(hash, &best, holds)
    }
    for number in others {
      guard number < best else { break }
      if holds(Int(number)) { best = number }
    }
    return best == .max ? nil : Int(best)
  }

  @inline(__always)
  private func look(_ hash: UInt64, _ best: inout UInt32, _ holds: (Int) -> Bool) {
    let bucket = Int(hash & mask)
    for place in starts[bucket]..<starts[bucket + 1] {
      let number = entries[Int(place)]
      guard number < best else { return }
      if holds(Int(number)) { best = number }
    }
  }

  // MARK: - FNV-1a, 64 bits: from the left, a byte at a time

  private static let basis: UInt64 = 0xcbf2_9ce4_8422_2325

  private static func hash(_ text: [UInt8]) -> UInt64 {
    var (hash, hashed) = (basis, 0)
    text.withUnsafeBytes { extend(&hash, $0, from: &hashed, to: text.count) }
    return hash
  }

  @inline(__always)
  private static func extend(_ hash: inout UInt64, _ text: UnsafeRawBufferPointer, from start: inout Int, to end: Int) {
    while start < end {
      hash = (hash ^ UInt64(text[start])) &* 0x100_0000_01b3
      start &+= 1
    }
  }
}
