# What a block costs by the number of contacts: dir/growth.dat and its labels to dir/growth.svg.
set terminal svg size 800,380 font 'sans-serif,14' background 'white'
set output dir.'/growth.svg'
set title 'What a block costs, by the number of contacts in the table'
set xlabel 'contacts'
set ylabel 'µs a call (less is better)'
set logscale x
set format x '10^{%L}'
set yrange [0:*]
set grid linecolor 'gray90'
set border 3
set tics nomirror
set key off
stats dir.'/growth.dat' using 1 nooutput
set xrange [STATS_min:STATS_max]
set rmargin 27
set pointsize 0.6
file = dir.'/growth.dat'
plot file using 1:4 with linespoints linewidth 2 pointtype 7 linecolor rgb 0xc05000, \
     file using 1:2 with linespoints linewidth 2 pointtype 7 linecolor rgb 0x777777, \
     file using 1:3 with linespoints linewidth 3 pointtype 7 linecolor rgb 0x1f4e9c, \
     dir.'/growth_labels.dat' using 1:2:3:4 with labels left offset 1,0 noenhanced textcolor rgb variable
