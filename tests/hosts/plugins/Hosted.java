/** A Java host whose native library does the work, and allocates; its collector runs meanwhile. */
public class Hosted {
	static native long work(long rounds);

	public static void main(String[] arguments) throws Exception {
		System.load(arguments[0]);
		long rounds = Long.parseLong(arguments[1]), sum = 0;
		for (int i = 0; i < 4; i++) {
			StringBuilder text = new StringBuilder();
			for (int j = 0; j < 20000; j++)
				text.append(j);
			sum += work(rounds / 4) + text.length();
		}
		System.out.println("sum " + sum);
	}
}
