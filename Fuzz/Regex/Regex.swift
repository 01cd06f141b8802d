import MeshCore
import MeshPolicy

/// No pattern traps the compiler or outgrows the program's limit, and no value traps a match or makes it answer twice
/// differently. The first byte says how much of the input is the pattern; the rest is the value.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRegex(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let start, count > 1 else { return 0 }
  let input = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
  let cut = min(Int(start[0]), input.count)
  let value = input.slice(cut, input.count - cut)
  guard let regex = try? LinearRegex(String(decoding: input.slice(0, cut), as: UTF8.self)) else { return 0 }
  let first = regex.matches(value)
  precondition(regex.matches(value) == first, "a match depends on what was matched before")
  return 0
}
