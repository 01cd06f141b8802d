import MeshCore

/// A pattern whose wildcards are runs of bytes, compiled. Its cost is the text's length times that of its longest literal.
struct Glob: Hashable, Sendable {
  private enum Element: Hashable, Sendable {
    case byte(UInt8)
    /// Any bytes but the separator, at least `minimum`.
    case run(minimum: Int)
    /// Any bytes at all.
    case rest
  }

  private var elements: [Element]
  /// Set where there is no wildcard: then the bytes are compared as a whole.
  private var literal: [UInt8]?
  private let separator: UInt8?

  /// `*` stops at `separator`, `**` does not; without a separator they are the same.
  init(_ pattern: String, separator: UInt8?) {
    var elements: [Element] = []
    for byte in pattern.utf8 {
      guard byte == UInt8(ascii: "*") else {
        elements.append(.byte(byte))
        continue
      }
      switch elements.last {
      case .run, .rest: elements[elements.count - 1] = .rest
      default: elements.append(separator == nil ? .rest : .run(minimum: 0))
      }
    }
    self.init(elements, separator)
  }

  /// `{NAME}` and `{*}` are one element of a path, `{**}` any number of them.
  init(template: String) {
    var elements: [Element] = []
    var text = template[...]
    while let open = text.firstIndex(of: "{"), let close = text[open...].firstIndex(of: "}") {
      elements += text[..<open].utf8.map { .byte($0) }
      elements.append(text[open...close] == "{**}" ? .rest : .run(minimum: 1))
      text = text[text.index(after: close)...]
    }
    elements += text.utf8.map { .byte($0) }
    self.init(elements, UInt8(ascii: "/"))
  }

  private init(_ elements: [Element], _ separator: UInt8?) {
    self.elements = elements
    self.separator = separator
    var bytes: [UInt8] = []
    for case .byte(let byte) in elements { bytes.append(byte) }
    literal = bytes.count == elements.count ? bytes : nil
  }

  /// `foldsCase`: ASCII letters of `text` count as lower case, in which the pattern is then written.
  func matches(_ text: UnsafeRawBufferPointer, foldsCase: Bool = false) -> Bool {
    if let literal {
      return literal.withUnsafeBytes { foldsCase ? text.equalsIgnoringCase($0) : text.equals($0) }
    }
    return elements.withUnsafeBufferPointer { walk($0, text, foldsCase) }
  }

  /// Where to go on after a failure: the wildcard's element, and the first byte that it has not taken.
  private struct Resumption {
    var element: Int
    var byte: Int
  }

  /// Goes back to the latest wildcard only, and from a run that cannot grow to the latest `rest` before it: what an earlier one could
  /// do besides, a later one can do as well.
  private func walk(_ elements: UnsafeBufferPointer<Element>, _ text: UnsafeRawBufferPointer, _ foldsCase: Bool) -> Bool
  {
    var (element, byte) = (0, 0)
    var run: Resumption?
    var rest: Resumption?
    while true {
      if element < elements.count {
        switch elements[element] {
        case .byte(let wanted):
          if byte < text.count, (foldsCase ? text[byte].asciiLowercased : text[byte]) == wanted {
            (element, byte) = (element + 1, byte + 1)
            continue
          }
        case .run(let minimum):
          if minimum == 0 || byte < text.count && text[byte] != separator {
            byte += minimum
            run = Resumption(element: element, byte: byte)
            element += 1
            continue
          }
        case .rest:
          rest = Resumption(element: element, byte: byte)
          run = nil
          element += 1
          continue
        }
      } else if byte == text.count {
        return true
      }
      if let last = run, last.byte < text.count, text[last.byte] != separator {
        run = Resumption(element: last.element, byte: last.byte + 1)
        (element, byte) = (last.element + 1, last.byte + 1)
      } else if let last = rest, last.byte < text.count {
        rest = Resumption(element: last.element, byte: last.byte + 1)
        run = nil
        (element, byte) = (last.element + 1, last.byte + 1)
      } else {
        return false
      }
    }
  }
}
