/// Why a pattern was refused. `description` is fit for a manifest error.
package struct RegexError: Error, Hashable, Sendable, CustomStringConvertible {
  package var pattern: String
  /// Byte offset of the trouble in the pattern.
  package var offset: Int
  package var reason: String

  package var description: String { "regular expression \"\(pattern)\", at byte \(offset): \(reason)" }
}

/// A regular expression over bytes, matched against a whole value in time linear in its length.
///
/// Syntax: POSIX extended (alternation, groups, `* + ? {m,n}`, `.`, bracket expressions with ranges and `[:alpha:]`
/// classes, `^ $`) plus `(?:...)`, lazy quantifiers (same meaning, as the whole value must match) and the escapes
/// `\d \D \w \W \s \S \n \r \t`. Look-around, back-references, flags and word boundaries are refused. `.` is one byte.
///
/// It runs Thompson's simulation of the nondeterministic automaton, so no pattern can make it backtrack: the cost is
/// bounded by the value's length times the program's size. Immutable and Sendable; a match allocates nothing.
package struct LinearRegex: Sendable {
  package static let maximumPatternBytes = 1024
  /// Instructions after counted repeats are written out.
  package static let maximumProgramSize = 2048
  package static let maximumRepeat = 255
  package static let maximumNesting = 50

  struct Instruction: Sendable {
    enum Operation: UInt8, Sendable { case byte, set, jump, split, start, end, accept }
    var operation: Operation
    var byte: UInt8 = 0
    /// Target of jumps, first target of splits, index of sets.
    var x: UInt16 = 0
    var y: UInt16 = 0
  }

  let program: [Instruction]
  let sets: [ByteSet]

  package init(_ pattern: String) throws(RegexError) {
    var parser = RegexParser(pattern)
    let tree = try parser.parse()
    var compiler = RegexCompiler(pattern)
    try compiler.emit(tree)
    try compiler.finish()
    program = compiler.program
    sets = compiler.sets
  }

  /// Whether all of `bytes` match.
  package func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
    program.withUnsafeBufferPointer { program in
      sets.withUnsafeBufferPointer { sets in
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 3 * program.count) { lists in
          withUnsafeTemporaryAllocation(of: UInt32.self, capacity: program.count) { marks in
            marks.initialize(repeating: 0)
            var run = RegexRun(program: program, sets: sets, lists: lists, marks: marks)
            return run.matches(bytes)
          }
        }
      }
    }
  }

  /// For people and tests.
  package func matches(_ string: String) -> Bool {
    var string = string
    return string.withUTF8 { matches(UnsafeRawBufferPointer($0)) }
  }
}

/// 256 bits, one per byte value.
struct ByteSet: Hashable, Sendable {
  private var bits: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  static func == (a: ByteSet, b: ByteSet) -> Bool { a.bits == b.bits }

  func hash(into hasher: inout Hasher) {
    hasher.combine(bits.0)
    hasher.combine(bits.1)
    hasher.combine(bits.2)
    hasher.combine(bits.3)
  }

  @inline(__always)
  func contains(_ byte: UInt8) -> Bool {
    let word =
      switch byte >> 6 {
      case 0: bits.0
      case 1: bits.1
      case 2: bits.2
      default: bits.3
      }
    return word >> UInt64(byte & 63) & 1 == 1
  }

  mutating func insert(_ byte: UInt8) {
    let bit = UInt64(1) << UInt64(byte & 63)
    switch byte >> 6 {
    case 0: bits.0 |= bit
    case 1: bits.1 |= bit
    case 2: bits.2 |= bit
    default: bits.3 |= bit
    }
  }

  mutating func insert(_ range: ClosedRange<UInt8>) {
    for byte in range { insert(byte) }
  }

  mutating func formUnion(_ other: ByteSet) {
    bits = (bits.0 | other.bits.0, bits.1 | other.bits.1, bits.2 | other.bits.2, bits.3 | other.bits.3)
  }

  var inverted: ByteSet {
    var set = ByteSet()
    set.bits = (~bits.0, ~bits.1, ~bits.2, ~bits.3)
    return set
  }

  static let all = ByteSet().inverted
  static let digits = ByteSet(0x30...0x39)
  static let word = ByteSet(0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F...0x5F)
  static let space = ByteSet(0x09...0x0D, 0x20...0x20)

  init(_ ranges: ClosedRange<UInt8>...) {
    for range in ranges { insert(range) }
  }
}

/// One run of a program over one value: the set of live instructions moves forward byte by byte.
private struct RegexRun {
  let program: UnsafeBufferPointer<LinearRegex.Instruction>
  let sets: UnsafeBufferPointer<ByteSet>
  /// Three stretches of `program.count`: live instructions, their successors, and the stack of `add`.
  let lists: UnsafeMutableBufferPointer<UInt16>
  /// The step in which an instruction was last added, so that none is added twice in one step.
  let marks: UnsafeMutableBufferPointer<UInt32>
  var step: UInt32 = 0

  init(
    program: UnsafeBufferPointer<LinearRegex.Instruction>, sets: UnsafeBufferPointer<ByteSet>,
    lists: UnsafeMutableBufferPointer<UInt16>, marks: UnsafeMutableBufferPointer<UInt32>
  ) {
    self.program = program
    self.sets = sets
    self.lists = lists
    self.marks = marks
  }

  mutating func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let size = program.count
    var current = 0
    var next = size
    step = 1
    var live = add(0, to: current, count: 0, atStart: true, atEnd: bytes.count == 0)
    for i in 0..<bytes.count {
      if live == 0 { return false }
      let byte = bytes[i]
      let atEnd = i &+ 1 == bytes.count
      step &+= 1
      var following = 0
      for k in 0..<live {
        let pc = lists[current &+ k]
        let instruction = program[Int(pc)]
        let moves =
          switch instruction.operation {
          case .byte: instruction.byte == byte
          case .set: sets[Int(instruction.x)].contains(byte)
          default: false
          }
        if moves { following = add(pc &+ 1, to: next, count: following, atStart: false, atEnd: atEnd) }
      }
      swap(&current, &next)
      live = following
    }
    for k in 0..<live where program[Int(lists[current &+ k])].operation == .accept { return true }
    return false
  }

  /// Adds `first` and everything reachable without a byte; returns the new count. Each instruction enters the stack
  /// once per step, so the stack never outgrows its stretch.
  private func add(_ first: UInt16, to list: Int, count: Int, atStart: Bool, atEnd: Bool) -> Int {
    let base = 2 * program.count
    var depth = 0
    var count = count
    push(first, base, &depth)
    while depth > 0 {
      depth &-= 1
      let pc = lists[base &+ depth]
      let instruction = program[Int(pc)]
      switch instruction.operation {
      case .byte, .set, .accept:
        lists[list &+ count] = pc
        count &+= 1
      case .jump: push(instruction.x, base, &depth)
      case .split:
        push(instruction.y, base, &depth)
        push(instruction.x, base, &depth)
      case .start: if atStart { push(pc &+ 1, base, &depth) }
      case .end: if atEnd { push(pc &+ 1, base, &depth) }
      }
    }
    return count
  }

  @inline(__always)
  private func push(_ pc: UInt16, _ base: Int, _ depth: inout Int) {
    guard marks[Int(pc)] != step else { return }
    marks[Int(pc)] = step
    lists[base &+ depth] = pc
    depth &+= 1
  }
}
