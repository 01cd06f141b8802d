/// Turns a syntax tree into a program of at most `LinearRegex.maximumProgramSize` instructions.
struct RegexCompiler {
  private let pattern: String
  private(set) var program: [LinearRegex.Instruction] = []
  private(set) var sets: [ByteSet] = []
  /// Nodes visited. Repeats of empty groups emit nothing, so the program's size alone would not bound the work.
  private var visits = 0

  private static let maximumVisits = 8 * LinearRegex.maximumProgramSize

  init(_ pattern: String) { self.pattern = pattern }

  mutating func finish() throws(RegexError) {
    try append(.init(operation: .accept))
  }

  mutating func emit(_ node: RegexNode) throws(RegexError) {
    visits += 1
    guard visits <= Self.maximumVisits else { throw tooLarge }
    switch node {
    case .empty: break
    case .byte(let byte): try append(.init(operation: .byte, byte: byte))
    case .set(let set): try append(.init(operation: .set, x: index(of: set)))
    case .start: try append(.init(operation: .start))
    case .end: try append(.init(operation: .end))
    case .sequence(let parts): for part in parts { try emit(part) }
    case .choice(let options): try emit(choice: options)
    case .repetition(let part, let minimum, let maximum):
      for _ in 0..<minimum { try emit(part) }
      if let maximum { try emit(optional: part, times: maximum - minimum) } else { try emit(star: part) }
    }
  }

  private var tooLarge: RegexError {
    RegexError(
      pattern: pattern, offset: pattern.utf8.count,
      reason: "too large: its repeats write out to more than \(LinearRegex.maximumProgramSize) steps")
  }

  private mutating func append(_ instruction: LinearRegex.Instruction) throws(RegexError) {
    guard program.count < LinearRegex.maximumProgramSize else { throw tooLarge }
    program.append(instruction)
  }

  private var here: UInt16 { UInt16(program.count) }

  private mutating func index(of set: ByteSet) -> UInt16 {
    if let known = sets.firstIndex(of: set) { return UInt16(known) }
    sets.append(set)
    return UInt16(sets.count - 1)
  }

  private mutating func emit(choice options: [RegexNode]) throws(RegexError) {
    var exits: [Int] = []
    for option in options.dropLast() {
      let split = program.count
      try append(.init(operation: .split, x: here + 1))
      try emit(option)
      exits.append(program.count)
      try append(.init(operation: .jump))
      program[split].y = here
    }
    if let last = options.last { try emit(last) }
    for exit in exits { program[exit].x = here }
  }

  private mutating func emit(star part: RegexNode) throws(RegexError) {
    let split = program.count
    try append(.init(operation: .split, x: here + 1))
    try emit(part)
    try append(.init(operation: .jump, x: UInt16(split)))
    program[split].y = here
  }

  private mutating func emit(optional part: RegexNode, times: Int) throws(RegexError) {
    var splits: [Int] = []
    for _ in 0..<times {
      splits.append(program.count)
      try append(.init(operation: .split, x: here + 1))
      try emit(part)
    }
    for split in splits { program[split].y = here }
  }
}
