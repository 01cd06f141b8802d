internal import Glibc
internal import MeshResources

/// What a command reads that is given `-`.
enum StandardInput {
  static func text() throws -> String {
    let limit = ManifestParser.maximumFileBytes + 1
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while bytes.count < limit {
      let count = read(STDIN_FILENO, &chunk, min(chunk.count, limit - bytes.count))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw CLIFailure("standard input: \(String(cString: strerror(errno)))") }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CLIFailure("standard input is not UTF-8 text")
    }
    return text
  }
}
