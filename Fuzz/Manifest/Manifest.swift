import MeshResources

/// No file traps the manifest parser; every problem it reports has a place inside the file, and the same text gives the
/// same objects again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzManifest(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
  let first = ManifestParser.parse(file: "input.yaml", text: text)
  // Unicode has more line ends than LF: the bound is the number of scalars.
  let lines = text.unicodeScalars.count + 1
  for problem in first.errors {
    precondition(1...lines ~= problem.position.line && problem.position.column >= 1, "a problem outside the file")
    precondition(!problem.message.isEmpty, "a problem without a text")
  }
  let second = ManifestParser.parse(file: "input.yaml", text: text)
  precondition(first.objects == second.objects && first.errors == second.errors, "the same text read differently")
  return 0
}
