/// Cuts a YAML stream at its document markers, so that a syntax error spoils one document and not the file.
///
/// A line that begins with `---` or `...` is a marker wherever it stands: YAML 1.2.2, section 9.1.4, forbids it in
/// text.
struct DocumentSplitter {
  struct Document {
    /// Line of the file on which the text begins, from 1.
    var firstLine: Int
    var text: String
  }

  /// Stops after `limit` documents; the one over the limit is the last of the result.
  static func split(_ text: String, limit: Int) -> [Document] {
    var text = text
    let documents = text.withUTF8 { bytes in
      var splitter = DocumentSplitter(bytes: bytes)
      splitter.run(limit: limit + 1)
      return splitter.documents
    }
    return documents
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private var documents: [Document] = []
  private var start = 0
  private var startLine = 1
  /// Whether the part since `start` holds more than blank lines, comments and directives.
  private var hasContent = false

  private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  private mutating func run(limit: Int) {
    // A byte order mark is no content and would shift the columns of the first line.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
    var position = start
    var line = 1
    while position < bytes.count, documents.count < limit {
      let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count
      if isMarker("-", at: position) {
        if hasContent { finish(at: position, nextStart: position, nextLine: line) }
        hasContent = true
      } else if isMarker(".", at: position) {
        finish(at: position, nextStart: end, nextLine: line + 1)
      } else if !hasContent {
        hasContent = isContent(position, end)
      }
      position = end
      line += 1
    }
    if documents.count < limit { finish(at: bytes.count, nextStart: bytes.count, nextLine: line) }
  }

  private mutating func finish(at end: Int, nextStart: Int, nextLine: Int) {
    if hasContent {
      let part = UnsafeBufferPointer(rebasing: bytes[start..<end])
      documents.append(Document(firstLine: startLine, text: String(decoding: part, as: UTF8.self)))
    }
    start = nextStart
    startLine = nextLine
    hasContent = false
  }

  private func isMarker(_ character: Unicode.Scalar, at position: Int) -> Bool {
    let byte = UInt8(ascii: character)
    guard position + 3 <= bytes.count, bytes[position..<position + 3].allSatisfy({ $0 == byte }) else { return false }
    guard position + 3 < bytes.count else { return true }
    return [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n")]
      .contains(bytes[position + 3])
  }

  private func isContent(_ from: Int, _ to: Int) -> Bool {
    if bytes[from] == UInt8(ascii: "%") { return false }
    for byte in bytes[from..<to] {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"): continue
      case UInt8(ascii: "#"): return false
      default: return true
      }
    }
    return false
  }
}
